#include "base/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "base/log.h"
#include "base/mem.h"

enum { HISTORY = 1000, READ_BYTES = 4096 };

/* What the other thread says, a byte each. */
enum { WAKE_LOG = 'l', WAKE_INTERRUPT = 'i', WAKE_STOP = 'q' };

struct terminal {
	EditLine *edit; /* NULL: no person */
	History *history;
	const char *prompt;
	int wake[2];
	bool interrupted, stopped;
	mbstate_t partial;     /* of a character's bytes */
	char room[READ_BYTES]; /* of a script: bytes at..end are not used yet */
	size_t at, end;
};

/* ---- waiting ---- */

static void show_log(struct terminal *t)
{
	struct buf lines = BUF_INIT(0);

	log_take(&lines);
	if (lines.len) {
		fputs("\r\033[K", stdout);
		fwrite(lines.p, 1, lines.len, stdout);
		fflush(stdout);
		el_set(t->edit, EL_REFRESH);
	}
	buf_release(&lines);
}

static void hear(struct terminal *t)
{
	char what;

	if (read(t->wake[0], &what, 1) != 1)
		return;
	if (what == WAKE_LOG && t->edit)
		show_log(t);
	else if (what == WAKE_INTERRUPT)
		t->interrupted = true;
	else if (what == WAKE_STOP)
		t->stopped = true;
}

/* Until there is input; false: not any more. */
static bool wait_for_input(struct terminal *t)
{
	struct pollfd fds[] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = t->wake[0], .events = POLLIN},
	};

	while (!t->interrupted && !t->stopped) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			hear(t);
		else if (fds[0].revents)
			return true;
	}
	return false;
}

static void wake(struct terminal *t, char what)
{
	/* A full pipe has much to say already. */
	(void)!write(t->wake[1], &what, 1);
}

static void wake_for_log(void *arg)
{
	wake(arg, WAKE_LOG);
}

void terminal_interrupt(struct terminal *t)
{
	wake(t, WAKE_INTERRUPT);
}

void terminal_stop(struct terminal *t)
{
	wake(t, WAKE_STOP);
}

/* ---- a person ---- */

static ssize_t read_byte(char *c)
{
	ssize_t n;

	do
		n = read(STDIN_FILENO, c, 1);
	while (n < 0 && errno == EINTR);
	return n;
}

/* One character for libedit: 1, or 0 at the end, or -1 to give up the line. */
static int on_character(EditLine *edit, wchar_t *out)
{
	struct terminal *t;
	size_t len;
	char c;

	el_get(edit, EL_CLIENTDATA, &t);
	do {
		if (!wait_for_input(t))
			return -1;
		if (read_byte(&c) != 1)
			return 0;
		len = mbrtowc(out, &c, 1, &t->partial);
	} while (len == (size_t)-2);
	if (len == (size_t)-1) { /* no character: shown as a wrong one */
		memset(&t->partial, 0, sizeof(t->partial));
		*out = L'?';
	}
	return 1;
}

static char *on_prompt(EditLine *edit)
{
	struct terminal *t;

	el_get(edit, EL_CLIENTDATA, &t);
	return (char *)t->prompt;
}

static int open_person(struct terminal *t, struct err *err)
{
	HistEvent event;

	if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
		setlocale(LC_CTYPE, "C.UTF-8");
	t->edit = el_init("gfl", stdin, stdout, stderr);
	t->history = history_init();
	if (!t->edit || !t->history)
		return err_set(err, ERR_INTERNAL, "cannot set up the terminal");
	history(t->history, &event, H_SETSIZE, HISTORY);
	history(t->history, &event, H_SETUNIQUE, 1);
	el_set(t->edit, EL_CLIENTDATA, t);
	el_set(t->edit, EL_PROMPT, on_prompt);
	el_set(t->edit, EL_GETCFN, on_character);
	el_set(t->edit, EL_HIST, history, t->history);
	el_set(t->edit, EL_EDITOR, "emacs");
	el_source(t->edit, NULL); /* the person's own ways */
	return 0;
}

static enum terminal_input take_typed(struct terminal *t, const char *typed,
				      int len, struct buf *line)
{
	HistEvent event;

	while (len && (typed[len - 1] == '\n' || typed[len - 1] == '\r'))
		len--;
	if (buf_add(line, typed, (size_t)len, NULL))
		return TERMINAL_TOO_LONG;
	if (len)
		history(t->history, &event, H_ENTER, line->p);
	return TERMINAL_LINE;
}

/* Whoever sees the prompt may type; and Ctrl-Z, there, would stop the whole
 * process by a slip. libedit puts all back at the end of the line. */
static void prepare(struct terminal *t)
{
	struct termios modes;

	el_resize(t->edit);
	el_set(t->edit, EL_PREP_TERM, 1);
	if (tcgetattr(STDIN_FILENO, &modes))
		return;
	modes.c_cc[VSUSP] = _POSIX_VDISABLE;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &modes);
}

static enum terminal_input read_person(struct terminal *t, struct buf *line)
{
	bool shared = isatty(STDERR_FILENO);
	const char *typed;
	int len = 0;

	if (shared)
		log_keep(wake_for_log, t);
	prepare(t);
	typed = el_gets(t->edit, &len);
	if (shared)
		log_keep(NULL, NULL);
	if (typed && len > 0 && !t->interrupted && !t->stopped)
		return take_typed(t, typed, len, line);
	fputs(t->interrupted ? "^C\n" : "\n", stdout);
	fflush(stdout);
	return t->interrupted ? TERMINAL_INTERRUPTED : TERMINAL_END;
}

/* ---- a script ---- */

static bool fill(struct terminal *t)
{
	ssize_t n;

	t->at = t->end = 0;
	do {
		if (!wait_for_input(t))
			return false;
		n = read(STDIN_FILENO, t->room, sizeof(t->room));
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n > 0)
		t->end = (size_t)n;
	return n > 0;
}

static enum terminal_input read_script(struct terminal *t, struct buf *line)
{
	bool any = false, fits = true;

	while (t->at < t->end || fill(t)) {
		const char *from = t->room + t->at;
		size_t len = t->end - t->at;
		const char *newline = memchr(from, '\n', len);

		if (newline)
			len = (size_t)(newline - from);
		any = true;
		fits = fits && !buf_add(line, from, len, NULL);
		t->at += len + (newline != NULL);
		if (newline)
			break;
	}
	if (t->interrupted)
		return TERMINAL_INTERRUPTED;
	if (!any || t->stopped)
		return TERMINAL_END;
	return fits ? TERMINAL_LINE : TERMINAL_TOO_LONG;
}

/* ---- both ---- */

int terminal_open(struct terminal **out, struct err *err)
{
	struct terminal *t = mem_zero(1, sizeof(*t));
	int rc = 0;

	t->wake[0] = t->wake[1] = -1;
	if (pipe2(t->wake, O_CLOEXEC | O_NONBLOCK))
		rc = err_sys(err, "make a pipe");
	if (!rc && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		rc = open_person(t, err);
	if (rc)
		terminal_close(t);
	else
		*out = t;
	return rc;
}

bool terminal_is_person(const struct terminal *t)
{
	return t->edit != NULL;
}

enum terminal_input terminal_read(struct terminal *t, const char *prompt,
				  struct buf *line)
{
	buf_reset(line);
	t->prompt = prompt;
	t->interrupted = false;
	return t->edit ? read_person(t, line) : read_script(t, line);
}

void terminal_close(struct terminal *t)
{
	if (!t)
		return;
	if (t->edit)
		el_end(t->edit);
	if (t->history)
		history_end(t->history);
	close(t->wake[0]);
	close(t->wake[1]);
	free(t);
}
