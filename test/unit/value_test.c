#include "test.h"

#include "base/nearest.h"
#include "base/rand.h"
#include "base/value.h"

static long long ms(const char *text)
{
	struct err err;
	int64_t v = 0;

	return value_duration(text, 1000, &v, &err) ? -(int)err.code : v;
}

TEST(durations_have_units)
{
	CHECK_INT(ms("5"), 5000);
	CHECK_INT(ms("0"), 0);
	CHECK_INT(ms("0.5"), 500);
	CHECK_INT(ms("300ms"), 300);
	CHECK_INT(ms("2m"), 120000);
	CHECK_INT(ms("1h"), 3600000);
	CHECK_INT(ms("1d"), 86400000);
	CHECK_INT(ms(""), -ERR_INVALID_ARGUMENT);
	CHECK_INT(ms("s"), -ERR_INVALID_ARGUMENT);
	CHECK_INT(ms("-1"), -ERR_INVALID_ARGUMENT);
	CHECK_INT(ms("nan"), -ERR_INVALID_ARGUMENT);
	CHECK_INT(ms("5 s"), -ERR_INVALID_ARGUMENT);
	CHECK_INT(ms("1e300"), -ERR_OUT_OF_RANGE);
	CHECK_INT(ms("inf"), -ERR_OUT_OF_RANGE);
}

static long long bytes(const char *text)
{
	struct err err;
	int64_t v = 0;

	return value_size(text, &v, &err) ? -(int)err.code : v;
}

TEST(sizes_are_powers_of_1024)
{
	CHECK_INT(bytes("512"), 512);
	CHECK_INT(bytes("64K"), 65536);
	CHECK_INT(bytes("1.5MiB"), 1572864);
	CHECK_INT(bytes("2g"), 2147483648LL);
	CHECK_INT(bytes("1x"), -ERR_INVALID_ARGUMENT);
	CHECK_INT(bytes("99999999T"), -ERR_OUT_OF_RANGE);
}

static const char *addr(const char *text)
{
	static char shown[300];
	struct opt_addr a = {0};
	struct err err;

	if (value_addr(text, &a, &err))
		return err_name(err.code);
	snprintf(shown, sizeof(shown), "%s %d", a.host, a.port);
	return shown;
}

TEST(addresses_are_host_and_port)
{
	char longest[400];

	CHECK_STR(addr("127.0.0.1:80"), "127.0.0.1 80");
	CHECK_STR(addr(":0"), "127.0.0.1 0");
	CHECK_STR(addr("[::1]:65535"), "::1 65535");
	CHECK_STR(addr("gate.example:1"), "gate.example 1");
	CHECK_STR(addr("::1"), "invalid_argument");
	CHECK_STR(addr("::1:80"), "invalid_argument");
	CHECK_STR(addr("h:"), "invalid_argument");
	CHECK_STR(addr("h:-1"), "out_of_range");
	CHECK_STR(addr("h:65536"), "out_of_range");
	CHECK_STR(addr("a b:1"), "invalid_argument");
	CHECK_STR(addr("[]:1"), "invalid_argument");
	memset(longest, 'a', sizeof(longest));
	strcpy(longest + 300, ":1");
	CHECK_STR(addr(longest), "invalid_argument");
}

TEST(choices_are_found_whole_in_any_case)
{
	CHECK_INT(value_choice("table|tsv|json|jsonl", "json"), 2);
	CHECK_INT(value_choice("table|tsv|json|jsonl", "JSONL"), 3);
	CHECK_INT(value_choice("table|tsv", "ta"), -1);
	CHECK_INT(value_choice("table|tsv", ""), -1);
	CHECK_INT(value_choice("table|tsv", "table|tsv"), -1);
}

/* A struct that every kind can be written into. */
union any {
	struct opt_list list;
	struct opt_addr addr;
	int64_t i;
};

/* Random texts from the letters that mean something somewhere. */
TEST(any_text_is_taken_or_refused_with_a_sentence)
{
	static const char letters[] = "0123456789.-:/[]|,kmsxhtp \xff=";
	struct rand r = {.state = 1};

	for (int i = 0; i < 20000; i++) {
		struct opt row = {
			.kind = (enum opt_kind)rand_below(&r,
							  OPT_KIND_LIST + 1),
			.choices = "a|b",
			.name = "x",
		};
		union any any = {0};
		struct err err = {0};
		char text[24] = "";
		size_t len = rand_below(&r, sizeof(text));

		for (size_t k = 0; k < len; k++)
			text[k] = letters[rand_below(&r, sizeof(letters) - 1)];
		if (value_set(&row, &any, value_keep(strdup(text)), &err))
			CHECK(err.msg[0]);
	}
}

TEST(the_nearest_name_is_near)
{
	struct nearest n = nearest_to("tiemout");

	nearest_offer(&n, "timer");
	nearest_offer(&n, "timeout");
	nearest_offer(&n, "threads");
	CHECK_STR(n.best, "timeout");
	n = nearest_to("zzzz");
	nearest_offer(&n, "timeout");
	CHECK(!n.best);
}
