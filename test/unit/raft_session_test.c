/* Sessions: Diss. 6.3. */
#include "test.h"

#include "raft/session.h"

static int64_t done(struct sessions *s, int64_t client, int64_t seq,
		    int64_t index, const char *reply)
{
	struct session now = {client, seq, index, reply, strlen(reply)};

	return session_end(s, &now);
}

TEST(a_retry_gets_the_reply_of_the_first)
{
	struct sessions *s = sessions_new(10, 100);
	struct session last;

	CHECK_INT(session_begin(s, 7, 1, &last), SESSION_NEW);
	CHECK_INT(done(s, 7, 1, 100, "one"), 0);
	CHECK_INT(session_begin(s, 7, 1, &last), SESSION_REPLAY);
	CHECK(last.index == 100 && last.len == 3);
	CHECK(!memcmp(last.reply, "one", 3));
	CHECK_INT(session_begin(s, 7, 2, &last), SESSION_NEW);
	done(s, 7, 2, 101, "two");
	CHECK_INT(session_begin(s, 7, 1, &last), SESSION_STALE);
	CHECK_INT(session_begin(s, 7, 2, &last), SESSION_REPLAY);
	sessions_free(s);
}

TEST(a_client_that_is_not_known_begins_at_one)
{
	struct sessions *s = sessions_new(10, 100);
	struct session last;

	CHECK_INT(session_begin(s, 7, 2, &last), SESSION_EXPIRED);
	CHECK_INT(session_begin(s, 7, 1, &last), SESSION_NEW);
	sessions_free(s);
}

TEST(the_client_that_was_idle_longest_is_forgotten)
{
	struct sessions *s = sessions_new(2, 100);
	struct session last;

	CHECK_INT(done(s, 1, 1, 10, ""), 0);
	CHECK_INT(done(s, 2, 1, 11, ""), 0);
	CHECK_INT(done(s, 1, 2, 12, ""), 0);
	CHECK_INT(done(s, 3, 1, 13, ""), 2);
	CHECK_INT(session_begin(s, 2, 2, &last), SESSION_EXPIRED);
	CHECK_INT(session_begin(s, 1, 2, &last), SESSION_REPLAY);
	sessions_free(s);
}

TEST(replies_are_bounded)
{
	struct sessions *s = sessions_new(2, 4);
	struct session last;

	done(s, 1, 1, 10, "0123456789");
	CHECK_INT(session_begin(s, 1, 1, &last), SESSION_REPLAY);
	CHECK_INT(last.len, 4);
	sessions_free(s);
}
