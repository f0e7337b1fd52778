#include "test.h"

#include "base/mem.h"
#include "registry/info.h"
#include "wire/rpc.h"

static struct err err;

static int parse(struct member *out, const char *url, const char *ip, int port)
{
	RegisterNodeRequest in = REGISTER_NODE_REQUEST__INIT;

	in.url = (char *)url;
	in.ip_address = (char *)ip;
	in.port = port;
	return info_parse(out, &in, &err);
}

TEST(info_derives_url_from_address_and_address_from_url)
{
	struct member m;

	CHECK(!parse(&m, "", "10.0.0.1", 80));
	CHECK_STR(m.url, "http://10.0.0.1:80");
	info_release(&m);
	CHECK(!parse(&m, "", "::1", 80));
	CHECK_STR(m.url, "http://[::1]:80");
	CHECK_STR(m.ip, "::1");
	info_release(&m);
	CHECK(!parse(&m, "http://node-1.example:8901", "", 0));
	CHECK_STR(m.ip, "node-1.example");
	CHECK_INT(m.port, 8901);
	info_release(&m);
	CHECK(!parse(&m, "http://[fe80::1]:8901", "", 0));
	CHECK_STR(m.ip, "fe80::1");
	CHECK_INT(m.port, 8901);
	info_release(&m);
}

TEST(info_refuses_a_place_that_no_client_could_call)
{
	static const char *const bad[] = {
		"nonsense",         "http://h",          "http://h:0",
		"http://h:70000",   "http://h:80junk",   "ftp://h:80",
		"http://h:80/path", "http://a b:80",     "http://[::1:80",
		"http://:80",       "http://h:80\r\nx:", "http://u@h:80",
	};
	struct member m;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_INT(parse(&m, bad[i], "", 0), ERR_INVALID_ARGUMENT);
		info_release(&m);
	}
	CHECK_INT(parse(&m, "", "10.0.0.1", 0), ERR_INVALID_ARGUMENT);
	info_release(&m);
	CHECK_INT(parse(&m, "", "10.0.0.1", 65536), ERR_INVALID_ARGUMENT);
	info_release(&m);
	CHECK_INT(parse(&m, "", "a/b", 80), ERR_INVALID_ARGUMENT);
	info_release(&m);
}

TEST(info_keeps_capabilities_and_metadata_whatever_they_say)
{
	RegisterNodeRequest__MetadataEntry
		pair = REGISTER_NODE_REQUEST__METADATA_ENTRY__INIT,
		*pairs = &pair;
	RegisterNodeRequest in = REGISTER_NODE_REQUEST__INIT;
	char *words[] = {(char *)"a \"b\"\n", (char *)"\xc3\xa9"};
	struct member m;
	NodeInfo *out;

	in.url = (char *)"http://h:1";
	in.capabilities = words;
	in.n_capabilities = 2;
	pair.key = (char *)"k\\";
	pair.value = (char *)"";
	in.metadata = &pairs;
	in.n_metadata = 1;
	CHECK(!info_parse(&m, &in, &err));
	out = info_of(&m, 0);
	CHECK_INT(out->n_capabilities, 2);
	CHECK_STR(out->capabilities[0], words[0]);
	CHECK_STR(out->capabilities[1], words[1]);
	CHECK_INT(out->n_metadata, 1);
	CHECK_STR(out->metadata[0]->key, "k\\");
	CHECK_STR(out->metadata[0]->value, "");
	rpc_free(&out->base);
	info_release(&m);
}

TEST(info_bounds_what_a_registrant_says)
{
	RegisterNodeRequest in = REGISTER_NODE_REQUEST__INIT;
	char *words[65], *longer = mem_zero(1, 1026);
	struct member m;

	in.url = (char *)"http://h:1";
	for (int i = 0; i < 65; i++)
		words[i] = (char *)"x";
	in.capabilities = words;
	in.n_capabilities = 65;
	CHECK(info_parse(&m, &in, &err) == ERR_INVALID_ARGUMENT);
	in.n_capabilities = 64;
	CHECK(!info_parse(&m, &in, &err));
	info_release(&m);
	memset(longer, 'x', 1025);
	words[3] = longer;
	CHECK(info_parse(&m, &in, &err) == ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "more than 1024 bytes");
	in.n_capabilities = 0;
	in.instance_id = (char *)"ABC";
	CHECK(info_parse(&m, &in, &err) == ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "instance id");
	free(longer);
}

TEST(info_shows_what_is_left_of_a_lease_and_nothing_of_a_dead_one)
{
	struct member m;
	NodeInfo *out;

	CHECK(!parse(&m, "http://h:1", "", 0));
	m.alive = true;
	m.expires_ms = 50;
	out = info_of(&m, 20);
	CHECK_INT(out->lease_ms, 30);
	CHECK_STR(out->status, "alive");
	rpc_free(&out->base);
	m.alive = false;
	out = info_of(&m, 20);
	CHECK_INT(out->lease_ms, 0);
	CHECK_STR(out->status, "dead");
	rpc_free(&out->base);
	info_release(&m);
}
