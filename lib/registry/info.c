#include "registry/info.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/transfer.h"

enum {
	LABELS_MAX = 64,  /* capabilities, metadata keys */
	TEXT_MAX = 1024,  /* bytes of any text a registrant gives */
	TEXTS_MAX = 8192, /* of its capabilities and metadata together */
};

static void fill_capabilities(NodeInfo *to, const char *json)
{
	json_t *all, *one;
	size_t i;

	if (!strcmp(json, "[]"))
		return;
	all = json_loads(json, 0, NULL);
	to->capabilities = mem_zero(json_array_size(all), sizeof(char *));
	json_array_foreach(all, i, one) to->capabilities[to->n_capabilities++] =
		mem_str(json_string_value(one));
	json_decref(all);
}

static void fill_metadata(NodeInfo *to, const char *json)
{
	json_t *all, *value;
	const char *key;

	if (!strcmp(json, "{}"))
		return;
	all = json_loads(json, 0, NULL);
	to->metadata = mem_zero(json_object_size(all), sizeof(void *));
	json_object_foreach(all, key, value)
	{
		NodeInfo__MetadataEntry *e = mem_zero(1, sizeof(*e));

		node_info__metadata_entry__init(e);
		e->key = mem_str(key);
		e->value = mem_str(json_string_value(value));
		to->metadata[to->n_metadata++] = e;
	}
	json_decref(all);
}

/* What is empty stays as the message is born, and costs no memory. */
static void fill_text(char **to, const char *text)
{
	if (*text)
		*to = mem_str(text);
}

NodeInfo *info_of(const struct member *m, int64_t now_ms)
{
	NodeInfo *to = mem_zero(1, sizeof(*to));

	node_info__init(to);
	to->node_id = (int32_t)m->id;
	fill_text(&to->ip_address, m->ip);
	to->port = m->port;
	fill_capabilities(to, m->capabilities);
	fill_metadata(to, m->metadata);
	to->status = mem_str(m->alive ? "alive" : "dead");
	to->last_seen = (double)m->seen_wall_ms / 1000;
	to->join_timestamp = (double)m->joined_wall_ms / 1000;
	fill_text(&to->url, m->url);
	fill_text(&to->instance_id, m->instance);
	fill_text(&to->cluster_id, m->cluster);
	fill_text(&to->role, m->role);
	if (m->alive && m->expires_ms > now_ms)
		to->lease_ms = m->expires_ms - now_ms;
	return to;
}

NodeInfo **info_all(const struct lease *l, int64_t now_ms, size_t *n)
{
	struct member **sorted = lease_sorted(l, n);
	NodeInfo **all = mem_zero(*n, sizeof(*all));

	for (size_t i = 0; i < *n; i++)
		all[i] = info_of(sorted[i], now_ms);
	free(sorted);
	return all;
}

/* Count the bytes of s into *all; every registrant is told of all others. */
static int check_text(const char *what, const char *s, size_t *all,
		      struct err *err)
{
	size_t len = strlen(s);

	*all += len;
	if (len > TEXT_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has more than %d bytes", what, TEXT_MAX);
	if (*all > TEXTS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "capabilities and metadata have more than %d "
			       "bytes in all",
			       TEXTS_MAX);
	return 0;
}

static int check_labels(const RegisterNodeRequest *in, struct err *err)
{
	size_t all = 0;

	if (in->n_capabilities > LABELS_MAX || in->n_metadata > LABELS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "more than %d capabilities or metadata keys",
			       LABELS_MAX);
	for (size_t i = 0; i < in->n_capabilities; i++)
		if (check_text("a capability", in->capabilities[i], &all, err))
			return (int)err->code;
	for (size_t i = 0; i < in->n_metadata; i++)
		if (check_text("a metadata key", in->metadata[i]->key, &all,
			       err) ||
		    check_text("metadata", in->metadata[i]->value, &all, err))
			return (int)err->code;
	return 0;
}

static int check_texts(const RegisterNodeRequest *in, struct err *err)
{
	size_t all = 0;

	if (check_labels(in, err) || check_text("url", in->url, &all, err) ||
	    check_text("ip_address", in->ip_address, &all, err))
		return (int)err->code;
	if (*in->instance_id && !str_is_id(in->instance_id))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "an instance id is 32 hex digits, not \"%.40s\"",
			       in->instance_id);
	if (*in->cluster_id && !str_is_id(in->cluster_id))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a cluster id is 32 hex digits, not \"%.40s\"",
			       in->cluster_id);
	return 0;
}

/* Where it is: by url, else by ip and port; the other form is derived. */
static int parse_place(struct member *out, const RegisterNodeRequest *in,
		       struct err *err)
{
	bool v6 = strchr(in->ip_address, ':');
	const char *place;
	char host[256];
	int port;

	if (!*in->url && (!*in->ip_address || in->port < 1))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a node registers with a url, or with "
			       "ip_address and port");
	out->url = *in->url ? mem_str(in->url)
			    : mem_fmt(v6 ? "http://[%s]:%d" : "http://%s:%d",
				      in->ip_address, (int)in->port);
	if (transfer_check_url(out->url, err))
		return (int)err->code;
	place = strstr(out->url, "://") + 3;
	if (sscanf(place, "[%255[^]]]:%d", host, &port) != 2 &&
	    sscanf(place, "%255[^:/]:%d", host, &port) != 2)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a url is http://HOST:PORT, not \"%.100s\"",
			       in->url);
	out->ip = mem_str(*in->ip_address ? in->ip_address : host);
	out->port = in->port > 0 ? in->port : port;
	return 0;
}

int info_parse(struct member *out, const RegisterNodeRequest *in,
	       struct err *err)
{
	json_t *list, *map;

	*out = (struct member){.id = in->node_id};
	if (check_texts(in, err) || parse_place(out, in, err))
		return (int)err->code;
	list = json_array();
	for (size_t i = 0; i < in->n_capabilities; i++)
		json_array_append_new(list, json_string(in->capabilities[i]));
	map = json_object();
	for (size_t i = 0; i < in->n_metadata; i++)
		json_object_set_new(map, in->metadata[i]->key,
				    json_string(in->metadata[i]->value));
	out->capabilities = json_dumps(list, JSON_COMPACT);
	out->metadata = json_dumps(map, JSON_COMPACT);
	json_decref(list);
	json_decref(map);
	str_copy(out->instance, sizeof(out->instance), in->instance_id);
	str_copy(out->cluster, sizeof(out->cluster), in->cluster_id);
	str_copy(out->role, sizeof(out->role), in->role);
	return 0;
}

void info_release(struct member *m)
{
	free(m->url);
	free(m->ip);
	free(m->capabilities);
	free(m->metadata);
}
