#include "base/log.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

static struct {
	pthread_mutex_t lock;
	const char *prog;
	enum log_level level;
	bool json, journal;
	log_wake_fn *wake; /* NULL: lines are written */
	void *arg;
	struct buf kept;
} log_state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.prog = "gfl",
	.level = LEVEL_INFO,
};

enum { KEPT_MAX = 256 << 10 };

static const char *const names[] = {"error", "warn", "info", "debug"};
static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};

/* systemd names the device and inode of the stream that goes to the journal;
 * a stderr redirected since is another. */
static bool stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return text && sscanf(text, "%llu:%llu", &dev, &ino) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == dev &&
	       st.st_ino == ino;
}

bool log_lasts(void)
{
	struct stat st;

	return stderr_is_journal() ||
	       (!fstat(STDERR_FILENO, &st) && S_ISREG(st.st_mode));
}

void log_set_level(enum log_level level)
{
	__atomic_store_n(&log_state.level, level, __ATOMIC_RELAXED);
}

void log_setup(const char *prog, enum log_level level, bool json)
{
	log_state.prog = prog;
	log_set_level(level);
	log_state.json = json;
	log_state.journal = stderr_is_journal();
}

bool log_on(enum log_level level)
{
	return level <= __atomic_load_n(&log_state.level, __ATOMIC_RELAXED);
}

/* One conversion of a printf format: its text, its letter, and its size. */
struct spec {
	char text[24];
	char letter;
	char size; /* 0, 'l', 'q' (ll, j) or 'z' */
	bool star; /* a precision from the arguments */
};

/* Read the conversion that starts at the '%' at p; returns its end. */
static const char *spec_read(struct spec *s, const char *p)
{
	size_t len = 0;

	memset(s, 0, sizeof(*s));
	s->text[len++] = *p++;
	while (*p && strchr("-+ #0123456789.*lzjh", *p)) {
		if (*p == '*')
			s->star = true;
		if (*p == 'l')
			s->size = s->size == 'l' ? 'q' : 'l';
		if (*p == 'j' || *p == 'z')
			s->size = *p == 'j' ? 'q' : 'z';
		if (len < sizeof(s->text) - 2)
			s->text[len++] = *p;
		p++;
	}
	s->letter = *p;
	s->text[len] = *p;
	return *p ? p + 1 : p;
}

#define PUT(b, s, star, value)                                 \
	((s)->star ? buf_putf((b), (s)->text, (star), (value)) \
		   : buf_putf((b), (s)->text, (value)))

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
/* Append one argument as its conversion says. The list is passed by pointer
 * so that the next conversion goes on behind it. */
static void spec_put(struct buf *b, const struct spec *s, va_list *ap)
{
	int star = s->star ? va_arg(*ap, int) : 0;

	if (strchr("fFeEgG", s->letter)) {
		double v = va_arg(*ap, double);

		if (isnan(v))
			buf_putc(b, '-');
		else
			PUT(b, s, star, v);
	} else if (s->letter == 's') {
		const char *text = va_arg(*ap, const char *);

		PUT(b, s, star, text ? text : "-");
	} else if (s->letter == '%') {
		buf_putc(b, '%');
	} else if (s->size == 'q') {
		PUT(b, s, star, va_arg(*ap, long long));
	} else if (s->size == 'l') {
		PUT(b, s, star, va_arg(*ap, long));
	} else if (s->size == 'z') {
		PUT(b, s, star, va_arg(*ap, size_t));
	} else if (strchr("diuxXc", s->letter)) {
		PUT(b, s, star, va_arg(*ap, int));
	} else {
		abort(); /* a conversion that log.h does not name */
	}
}
#pragma GCC diagnostic pop

static void put_quoted(struct buf *b, const char *p, size_t len)
{
	buf_putc(b, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == '"' || c == '\\')
			buf_putf(b, "\\%c", c);
		else if (c == '\n')
			buf_puts(b, "\\n");
		else if (c == '\t')
			buf_puts(b, "\\t");
		else if (c < 0x20 || c == 0x7f)
			buf_putf(b, "\\u%04x", c);
		else
			buf_putc(b, (char)c);
	}
	buf_putc(b, '"');
}

static bool is_plain(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)p[i] <= ' ' || p[i] == '"' || p[i] == '\\' ||
		    p[i] == '=' || p[i] == 0x7f)
			return false;
	return len > 0;
}

/* JSON knows no infinity, and only UTF-8. */
static void put_json(struct buf *b, const char *p, size_t len, bool number)
{
	json_t *text;
	char *dump;

	if (number && !memchr(p, 'n', len)) {
		if (len == 1 && *p == '-')
			buf_puts(b, "null");
		else
			buf_put(b, p, len);
		return;
	}
	text = json_stringn(p, len);
	dump = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
	json_decref(text);
	if (dump)
		buf_puts(b, dump);
	for (size_t i = 0; !dump && i < len; i++)
		buf_putf(b, i ? "%02x" : "\"%02x", (unsigned char)p[i]);
	if (!dump)
		buf_putc(b, '"');
	free(dump);
}

static void put_field(struct buf *b, const char *key, size_t key_len,
		      const struct buf *value, bool number)
{
	const char *text = value->p ? value->p : "";

	if (log_state.json) {
		buf_putf(b, ",\"%.*s\":", (int)key_len, key);
		put_json(b, text, value->len, number);
		return;
	}
	buf_putf(b, " %.*s=", (int)key_len, key);
	if (is_plain(text, value->len))
		buf_put(b, text, value->len);
	else
		put_quoted(b, text, value->len);
}

/* Append the word `key=value` that starts at p; returns its end. A value is
 * a number for JSON if it is one decimal conversion and nothing else. */
static const char *put_word(struct buf *b, const char *p, va_list *ap)
{
	const char *key = p;
	struct buf value = BUF_INIT(0);
	struct spec s = {0};
	size_t key_len, pieces = 0;

	p += strcspn(p, "= ");
	key_len = (size_t)(p - key);
	if (*p == '=')
		p++;
	for (; *p && *p != ' '; pieces++) {
		if (*p == '%') {
			p = spec_read(&s, p);
			spec_put(&value, &s, ap);
		} else {
			buf_putc(&value, *p++);
		}
	}
	put_field(b, key, key_len, &value,
		  pieces == 1 && s.letter && strchr("diufeg", s.letter));
	buf_release(&value);
	return p;
}

static void put_head(struct buf *b, enum log_level level, const char *event)
{
	char time[CLOCK_TEXT];

	clock_text(clock_wall_ms(), time);
	if (log_state.journal)
		buf_puts(b, priorities[level]);
	buf_putf(b,
		 log_state.json ? "{\"time\":\"%s\",\"level\":\"%s\","
				  "\"prog\":\"%s\",\"event\":\"%s\""
				: "time=%s level=%s prog=%s event=%s",
		 time, names[level], log_state.prog, event);
}

/* One write a line, so that the lines of two processes do not mix either. What
 * cannot be logged has nowhere to be reported. */
static void write_out(const struct buf *b)
{
	size_t done = 0;

	while (done < b->len) {
		ssize_t n = write(STDERR_FILENO, b->p + done, b->len - done);

		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
}

static void put_line(const struct buf *b)
{
	pthread_mutex_lock(&log_state.lock);
	if (log_state.wake && log_state.kept.len + b->len <= KEPT_MAX) {
		buf_put(&log_state.kept, b->p, b->len);
		log_state.wake(log_state.arg);
	} else {
		write_out(b);
	}
	pthread_mutex_unlock(&log_state.lock);
}

void log_keep(log_wake_fn *wake, void *arg)
{
	pthread_mutex_lock(&log_state.lock);
	log_state.wake = wake;
	log_state.arg = arg;
	if (!wake) {
		write_out(&log_state.kept);
		buf_release(&log_state.kept);
	}
	pthread_mutex_unlock(&log_state.lock);
}

void log_take(struct buf *out)
{
	pthread_mutex_lock(&log_state.lock);
	if (log_state.kept.len)
		buf_put(out, log_state.kept.p, log_state.kept.len);
	buf_reset(&log_state.kept);
	pthread_mutex_unlock(&log_state.lock);
}

void log_write(enum log_level level, const char *event, const char *fmt, ...)
{
	struct buf b = BUF_INIT(0);
	va_list ap;

	if (!log_on(level))
		return;
	put_head(&b, level, event);
	va_start(ap, fmt);
	while (*(fmt += strspn(fmt, " ")))
		fmt = put_word(&b, fmt, &ap);
	va_end(ap);
	buf_puts(&b, log_state.json ? "}\n" : "\n");
	put_line(&b);
	buf_release(&b);
}

void log_err(const char *event, const struct err *err)
{
	if (err->hint[0])
		log_error(event, "code=%s error=%s hint=%s",
			  err_name(err->code), err->msg, err->hint);
	else
		log_error(event, "code=%s error=%s", err_name(err->code),
			  err->msg);
}
