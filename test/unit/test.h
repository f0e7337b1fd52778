/* test.h - the harness of unit tests and simulations: TEST(name) { CHECK… }.
 *
 * Each test runs in a process of its own, in an empty directory of its own
 * (removed afterwards), for at most TEST_SECONDS of the processor and ten times
 * that by the clock, and is one TAP line. With an argument a test program runs
 * only the tests whose name contains it. */
#ifndef TEST_H
#define TEST_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef TEST_SECONDS
#define TEST_SECONDS 10
#endif

void test_register(const char *name, void (*fn)(void), unsigned seconds);
void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));

#define TEST(name)                                                             \
	static void test_##name(void);                                         \
	__attribute__((constructor)) static void register_##name(void)         \
	{                                                                      \
		test_register(#name, test_##name, TEST_SECONDS);               \
	}                                                                      \
	static void test_##name(void)

#define CHECK(cond)                                                            \
	do {                                                                   \
		if (!(cond))                                                   \
			test_fail(__FILE__, __LINE__, "%s", #cond);            \
	} while (0)

#define CHECK_INT(got, want)                                                   \
	do {                                                                   \
		long long g_ = (long long)(got), w_ = (long long)(want);       \
		if (g_ != w_)                                                  \
			test_fail(__FILE__, __LINE__, "%s is %lld, not %lld",  \
				  #got, g_, w_);                               \
	} while (0)

#define CHECK_STR(got, want)                                                   \
	do {                                                                   \
		const char *g_ = (got), *w_ = (want);                          \
		if (!g_ || strcmp(g_, w_))                                     \
			test_fail(__FILE__, __LINE__,                          \
				  "%s is \"%s\", not \"%s\"", #got,            \
				  g_ ? g_ : "(null)", w_);                     \
	} while (0)

/* got contains part */
#define CHECK_HAS(got, part)                                                   \
	do {                                                                   \
		const char *g_ = (got), *w_ = (part);                          \
		if (!g_ || !strstr(g_, w_))                                    \
			test_fail(__FILE__, __LINE__,                          \
				  "%s is \"%s\", without \"%s\"", #got,        \
				  g_ ? g_ : "(null)", w_);                     \
	} while (0)

#define CHECK_NEAR(got, want, within)                                          \
	do {                                                                   \
		double g_ = (got), w_ = (want);                                \
		if (!(fabs(g_ - w_) <= (within)))                              \
			test_fail(__FILE__, __LINE__, "%s is %.9g, not %.9g",  \
				  #got, g_, w_);                               \
	} while (0)

#endif
