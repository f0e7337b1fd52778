#include "test.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "capture.h"

static int all_kinds(void *arg)
{
	const char *volatile none = NULL;

	log_setup("gfl-try", LEVEL_INFO, arg != NULL);
	log_info("kinds",
		 "i=%d u=%u ll=%lld l=%ld z=%zu x=%x c=%c s=%s cut=%.*s "
		 "f=%.3f g=%g addr=%s:%d pct=5%% none=%s",
		 -1, 7u, 1LL << 40, 5L, (size_t)9, 255, 'k', "text", 2, "abc",
		 1.5, 0.25, "h", 80, none);
	log_debug("hidden", "a=%d", 1);
	return 0;
}

TEST(every_conversion_becomes_its_value)
{
	struct capture c = capture_run(all_kinds, NULL);

	CHECK_HAS(c.err,
		  "Z level=info prog=gfl-try event=kinds i=-1 u=7 "
		  "ll=1099511627776 l=5 z=9 x=ff c=k s=text cut=ab f=1.500 "
		  "g=0.25 addr=h:80 pct=5% none=-\n");
	CHECK(!strncmp(c.err, "time=20", 7));
	CHECK(!strstr(c.err, "hidden"));
}

TEST(json_has_numbers_as_numbers)
{
	struct capture c = capture_run(all_kinds, "json");
	json_t *row = json_loads(c.err, 0, NULL);

	CHECK(row);
	CHECK_INT(json_integer_value(json_object_get(row, "ll")), 1LL << 40);
	CHECK(json_is_real(json_object_get(row, "g")));
	CHECK_STR(json_string_value(json_object_get(row, "x")), "ff");
	CHECK_STR(json_string_value(json_object_get(row, "addr")), "h:80");
	CHECK_STR(json_string_value(json_object_get(row, "event")), "kinds");
	json_decref(row);
}

static int nasty(void *arg)
{
	log_setup("gfl-try", LEVEL_INFO, arg != NULL);
	log_warn("peer", "why=%s empty=%s bad=%s nan=%f inf=%g",
		 "a b=\"c\"\nlevel=error \\\x1b[31m", "", "\xff", (double)NAN,
		 (double)INFINITY);
	log_info("bare");
	return 0;
}

TEST(a_value_cannot_break_its_line)
{
	struct capture c = capture_run(nasty, NULL);

	CHECK_HAS(c.err,
		  "why=\"a b=\\\"c\\\"\\nlevel=error "
		  "\\\\\\u001b[31m\" empty=\"\" bad=\xff nan=- inf=inf\n");
	CHECK_HAS(c.err, "event=bare\n");
}

TEST(json_lines_stay_json_whatever_the_value)
{
	struct capture c = capture_run(nasty, "json");
	char *end = strchr(c.err, '\n');
	json_t *row;

	CHECK(end);
	*end = '\0';
	row = json_loads(c.err, 0, NULL);
	CHECK(row);
	CHECK_STR(json_string_value(json_object_get(row, "bad")), "ff");
	CHECK(json_is_null(json_object_get(row, "nan")));
	CHECK_STR(json_string_value(json_object_get(row, "inf")), "inf");
	json_decref(row);
}

static int to_journal(void *arg)
{
	struct stat st;
	char text[64];

	(void)arg;
	fstat(STDERR_FILENO, &st);
	snprintf(text, sizeof(text), "%lu:%lu", (unsigned long)st.st_dev,
		 (unsigned long)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
	log_setup("gfl-try", LEVEL_INFO, false);
	log_error("broken", "n=%d", 1);
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_setup("gfl-try", LEVEL_INFO, false);
	log_info("plain");
	return 0;
}

TEST(the_journal_gets_priorities)
{
	struct capture c = capture_run(to_journal, NULL);

	CHECK(!strncmp(c.err, "<3>time=", 8));
	CHECK_HAS(c.err, "\ntime=");
}

static void *chatter(void *arg)
{
	for (int i = 0; i < 50; i++)
		log_info("chat", "who=%s text=%s", (char *)arg,
			 "0123456789012345678901234567890123456789");
	return NULL;
}

static int many_threads(void *arg)
{
	pthread_t t[2];

	(void)arg;
	log_setup("gfl-try", LEVEL_INFO, false);
	pthread_create(&t[0], NULL, chatter, "a");
	pthread_create(&t[1], NULL, chatter, "b");
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	return 0;
}

TEST(lines_of_two_threads_do_not_mix)
{
	struct capture c = capture_run(many_threads, NULL);
	char *line, *rest = c.err;

	while ((line = strsep(&rest, "\n")))
		CHECK(!*line || !rest || !strncmp(line, "time=", 5));
}
