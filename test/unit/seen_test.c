#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/seen.h"

#define OURS "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const struct opt_list home = {.n = 1, .at = {"http://gateway:1"}};
static const struct opt_list away = {.n = 1, .at = {"http://elsewhere:1"}};

/* Each test has a directory of its own, which is the state's. */
static void here(void)
{
	char dir[4096];

	CHECK(getcwd(dir, sizeof(dir)));
	CHECK(!setenv("XDG_STATE_HOME", dir, 1));
}

static void put(const struct opt_list *gateways, const char *cluster,
		const char *url, const char *status)
{
	GetNodesResponse all = GET_NODES_RESPONSE__INIT;
	NodeInfo one = NODE_INFO__INIT, *nodes = &one;

	one.node_id = 3;
	one.url = (char *)url;
	one.status = (char *)status;
	all.nodes = &nodes;
	all.n_nodes = 1;
	all.cluster_id = (char *)cluster;
	seen_put(gateways, &all);
}

/* The first URL is url, or there is none if that is NULL. */
static bool first_is(const struct opt_list *gateways, const char *url)
{
	struct opt_list urls;
	bool is;

	seen_get(gateways, &urls);
	is = url ? urls.n && !strcmp(urls.at[0], url) : !urls.n;
	for (size_t i = 0; i < urls.n; i++)
		free((char *)urls.at[i]);
	return is;
}

/* The list of cluster was written so many seconds after 1970. */
static void dated(const char *cluster, int seconds)
{
	struct timespec at[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
	char path[100];

	snprintf(path, sizeof(path), "gfl/members/%s.json", cluster);
	CHECK(!utimensat(AT_FDCWD, path, at, 0));
}

TEST(seen_members_are_found_through_the_gateway_that_told_of_them)
{
	struct opt_list both = {.n = 2, .at = {"http://x:1", "http://gateway:1"}};

	here();
	put(&home, OURS, "http://127.0.0.1:8903", "alive");
	CHECK(first_is(&home, "http://127.0.0.1:8903"));
	CHECK(first_is(&both, "http://127.0.0.1:8903"));
	CHECK(first_is(&away, NULL));
}

TEST(seen_gives_the_newest_of_several_clusters)
{
	here();
	put(&home, OURS, "http://127.0.0.1:1", "alive");
	put(&home, OTHER, "http://127.0.0.1:2", "alive");
	dated(OURS, 2000);
	dated(OTHER, 1000);
	CHECK(first_is(&home, "http://127.0.0.1:1"));
	dated(OTHER, 3000);
	CHECK(first_is(&home, "http://127.0.0.1:2"));
}

TEST(seen_keeps_neither_the_dead_nor_lists_of_no_cluster)
{
	here();
	put(&home, "", "http://127.0.0.1:1", "alive");
	put(&home, "../../etc/passwd", "http://127.0.0.1:1", "alive");
	CHECK(access("gfl", F_OK));
	put(&home, OURS, "http://127.0.0.1:1", "dead");
	CHECK(!access("gfl/members/" OURS ".json", F_OK));
	CHECK(first_is(&home, NULL));
}

TEST(seen_passes_over_files_that_are_damaged)
{
	static const char *const bad[] = {
		"",
		"[1]",
		"{\"gateways\":7,\"members\":[]}",
		"{\"gateways\":[7],\"members\":{}}",
		("{\"gateways\":[\"http://gateway:1\"],\"members\":[7,{},"
		 "{\"url\":7}]}"),
		"{\"gateways\":[\"http://gateway:1\"]}",
	};

	here();
	put(&home, OURS, "http://127.0.0.1:1", "alive");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = open("gfl/members/" OURS ".json", O_WRONLY | O_TRUNC);

		CHECK(fd >= 0);
		CHECK(write(fd, bad[i], strlen(bad[i])) ==
		      (ssize_t)strlen(bad[i]));
		close(fd);
		CHECK(first_is(&home, NULL));
	}
}

TEST(seen_without_a_place_to_keep_it_is_nothing)
{
	unsetenv("XDG_STATE_HOME");
	unsetenv("HOME");
	put(&home, OURS, "http://127.0.0.1:1", "alive");
	CHECK(first_is(&home, NULL));
	setenv("XDG_STATE_HOME", "/dev/null/none", 1);
	put(&home, OURS, "http://127.0.0.1:1", "alive");
	CHECK(first_is(&home, NULL));
}
