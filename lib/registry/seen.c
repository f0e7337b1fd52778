#include "registry/seen.h"

#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

/* The directory of the lists, or NULL where there is no home; free() it. */
static char *seen_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (state && *state == '/')
		return mem_fmt("%s/gfl/members", state);
	if (home && *home == '/')
		return mem_fmt("%s/.local/state/gfl/members", home);
	return NULL;
}

static json_t *list_of(const struct opt_list *gateways,
		       const GetNodesResponse *nodes)
{
	json_t *asked = json_array(), *members = json_array();

	for (size_t i = 0; i < gateways->n; i++)
		json_array_append_new(asked, json_string(gateways->at[i]));
	for (size_t i = 0; i < nodes->n_nodes; i++) {
		const NodeInfo *n = nodes->nodes[i];

		if (!strcmp(n->status, "alive") && *n->url)
			json_array_append_new(
				members,
				json_pack("{s:i, s:s}", "id", (int)n->node_id,
					  "url", n->url));
	}
	return json_pack("{s:s, s:o, s:o}", "cluster_id", nodes->cluster_id,
			 "gateways", asked, "members", members);
}

void seen_put(const struct opt_list *gateways, const GetNodesResponse *nodes)
{
	char *dir = seen_dir(), *path, *tmp;
	json_t *list;

	if (!dir || !str_is_id(nodes->cluster_id) ||
	    file_make_dirs(dir, NULL)) {
		free(dir);
		return;
	}
	path = mem_fmt("%s/%s.json", dir, nodes->cluster_id);
	tmp = mem_fmt("%s.%d", path, (int)getpid());
	list = list_of(gateways, nodes);
	if (json_dump_file(list, tmp, JSON_COMPACT) || rename(tmp, path))
		unlink(tmp);
	json_decref(list);
	free(tmp);
	free(path);
	free(dir);
}

static bool found_through(json_t *list, const struct opt_list *gateways)
{
	json_t *asked = json_object_get(list, "gateways"), *one;
	size_t i;

	json_array_foreach(asked, i, one)
		for (size_t k = 0; k < gateways->n; k++)
			if (json_is_string(one) &&
			    !strcmp(json_string_value(one), gateways->at[k]))
				return true;
	return false;
}

/* The list at path if it was found through gateways and is newer. */
static void consider(const char *path, const struct opt_list *gateways,
		     json_t **best, struct timespec *best_time)
{
	struct stat st;
	json_t *list;

	if (stat(path, &st) || st.st_size > 1 << 20)
		return;
	if (*best && (st.st_mtim.tv_sec < best_time->tv_sec ||
		      (st.st_mtim.tv_sec == best_time->tv_sec &&
		       st.st_mtim.tv_nsec <= best_time->tv_nsec)))
		return;
	list = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	if (!list || !found_through(list, gateways)) {
		json_decref(list);
		return;
	}
	json_decref(*best);
	*best = list;
	*best_time = st.st_mtim;
}

static json_t *newest(const struct opt_list *gateways)
{
	struct timespec when = {0};
	char *dir = seen_dir();
	DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *e;
	json_t *best = NULL;

	while (d && (e = readdir(d))) {
		char *path = mem_fmt("%s/%s", dir, e->d_name);
		size_t len = strlen(e->d_name);

		if (len > 5 && !strcmp(e->d_name + len - 5, ".json"))
			consider(path, gateways, &best, &when);
		free(path);
	}
	if (d)
		closedir(d);
	free(dir);
	return best;
}

void seen_get(const struct opt_list *gateways, struct opt_list *out)
{
	json_t *list = newest(gateways), *one;
	size_t i;

	out->n = 0;
	json_array_foreach(json_object_get(list, "members"), i, one) {
		const char *url = json_string_value(json_object_get(one, "url"));

		if (url && out->n < OPT_LIST_MAX)
			out->at[out->n++] = mem_str(url);
	}
	json_decref(list);
}
