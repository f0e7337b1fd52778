#include "test.h"

#include "wire/peer.h"

static bool parse(struct identity *who, const char *uri)
{
	memset(who, 0, sizeof(*who));
	return peer_parse(who, uri, strlen(uri));
}

TEST(a_name_has_cluster_role_and_id)
{
	struct identity who;

	CHECK(parse(&who, "gfl://lab-7/node/12"));
	CHECK_STR(who.cluster, "lab-7");
	CHECK_STR(who.role, "node");
	CHECK_STR(who.id, "12");
	CHECK(parse(&who, "gfl://a/b/C.d_e-9"));
	CHECK_STR(who.id, "C.d_e-9");
}

TEST(parts_are_bounded)
{
	char uri[300], part[66];
	struct identity who;

	memset(part, 'x', sizeof(part));
	part[64] = '\0';
	snprintf(uri, sizeof(uri), "gfl://%s/%s/%s", part, part, part);
	CHECK(parse(&who, uri));
	CHECK_STR(who.id, part);
	part[64] = 'x';
	part[65] = '\0';
	snprintf(uri, sizeof(uri), "gfl://%s/node/1", part);
	CHECK(!parse(&who, uri));
	snprintf(uri, sizeof(uri), "gfl://a/node/%s", part);
	CHECK(!parse(&who, uri));
}

TEST(any_other_uri_is_refused)
{
	static const char *const bad[] = {
		"",
		"gfl:",
		"gfl://",
		"gfl:///node/1",
		"gfl://a",
		"gfl://a/",
		"gfl://a/node",
		"gfl://a/node/",
		"gfl://a//1",
		"gfl://a/node/1/",
		"gfl://a/node/1/2",
		"gfl://a/node/1?x",
		"gfl://a/node/1#x",
		"gfl://a/node/1 ",
		" gfl://a/node/1",
		"GFL://a/node/1",
		"http://a/node/1",
		"gfl://a:1/node/1",
		"gfl://u@a/node/1",
		"gfl://a/no%64e/1",
		"gfl://a/node/..",
		"gfl://../node/1",
		"gfl://a/node/-1",
		"gfl://a/node/\xc3\xa4",
		"gfl://a/node/*",
		"gfl://a/node/1\n",
	};
	struct identity who;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(!parse(&who, bad[i]));
		CHECK_STR(who.cluster, "");
	}
	CHECK(!peer_parse(&who, "gfl://a/node/1\0x", 16));
	CHECK(!peer_parse(&who, "gfl://a/no\0e/1", 14));
	CHECK(!peer_parse(&who, "gfl://a/node/1", 6));
}

TEST(every_prefix_of_a_name_is_read_within_its_bytes)
{
	static const char uri[] = "gfl://cluster/node/1";

	for (size_t len = 0; len < sizeof(uri); len++) {
		char *exact = malloc(len ? len : 1);
		struct identity who = {0};

		memcpy(exact, uri, len);
		CHECK_INT(peer_parse(&who, exact, len), len == sizeof(uri) - 1);
		free(exact);
	}
}

TEST(a_common_name_is_plain_text_or_none)
{
	struct identity who;
	char longer[66];

	peer_set_cn(&who, "node 1", 6);
	CHECK_STR(who.cn, "node 1");
	peer_set_cn(&who, "a\0b", 3);
	CHECK_STR(who.cn, "");
	peer_set_cn(&who, "a\nb", 3);
	CHECK_STR(who.cn, "");
	memset(longer, 'x', sizeof(longer));
	peer_set_cn(&who, longer, 65);
	CHECK_STR(who.cn, "");
	peer_set_cn(&who, longer, 64);
	CHECK_INT(strlen(who.cn), 64);
}

TEST(members_alone_change_things)
{
	struct peer p = {.addr = "10.0.0.9"};
	struct err err;

	CHECK_INT(peer_check(&p, false, "/S/M", &err), ERR_PERMISSION_DENIED);
	CHECK_HAS(err.msg, "/S/M is not open to 10.0.0.9 without TLS");
	CHECK_INT(peer_check(&p, true, "/S/M", &err), 0);
	p.trust = PEER_UNVERIFIED;
	CHECK_INT(peer_check(&p, false, "/S/M", &err), ERR_UNAUTHENTICATED);
	CHECK_HAS(err.msg, "--tls-cert");
	p.trust = PEER_LOOPBACK;
	CHECK_INT(peer_check(&p, false, "/S/M", &err), 0);
	p.trust = PEER_VERIFIED;
	CHECK_INT(peer_check(&p, false, "/S/M", &err), 0);
}

TEST(a_peer_is_called_by_what_its_certificate_says)
{
	struct identity who = {.cn = "ann"};
	struct peer p = {.trust = PEER_VERIFIED, .identity = &who};
	char name[PEER_NAME];

	peer_name(name, &p);
	CHECK_STR(name, "CN=ann");
	CHECK(peer_parse(&who, "gfl://lab/trainer/3", 19));
	peer_name(name, &p);
	CHECK_STR(name, "lab/trainer/3");
	p.trust = PEER_LOOPBACK;
	peer_name(name, &p);
	CHECK_STR(name, "");
}
