/* opt.h - one table of options per program, from which everything follows:
 * parsing, environment, configuration file, -h, man page and completion.
 *
 * A value comes from the first of: the flag; GFL_<LONG_OPTION>; the variables
 * its row names; ./gfl.conf, $XDG_CONFIG_HOME/gfl/gfl.conf, /etc/gfl/gfl.conf
 * (or the file that --config names); the row's default. Strings put into the
 * program's struct live as long as the process. */
#ifndef BASE_OPT_H
#define BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum opt_kind {
	OPT_KIND_BOOL,      /* bool */
	OPT_KIND_COUNT,     /* int: how often it was given */
	OPT_KIND_STRING,    /* const char * */
	OPT_KIND_FILE,      /* const char *: a path; completes as one */
	OPT_KIND_INT,       /* int */
	OPT_KIND_INT64,     /* int64_t */
	OPT_KIND_REAL,      /* double */
	OPT_KIND_SECONDS,   /* int64_t ms; a bare number is seconds */
	OPT_KIND_MILLIS,    /* int64_t ms; a bare number is milliseconds */
	OPT_KIND_SIZE,      /* int64_t bytes: 512, 64K, 1M, 2GiB */
	OPT_KIND_CHOICE,    /* int: index into choices */
	OPT_KIND_WORD,      /* const char *: one of choices */
	OPT_KIND_ADDR,      /* struct opt_addr */
	OPT_KIND_ADDR_HOST, /* the host of a struct opt_addr */
	OPT_KIND_ADDR_PORT, /* its port */
	OPT_KIND_URLS,      /* struct opt_list of http(s)://host:port */
	OPT_KIND_URL_HOST,  /* the host of the first of them */
	OPT_KIND_URL_PORT,  /* its port */
	OPT_KIND_LIST,      /* struct opt_list: a,b,c or given repeatedly */
	OPT_KIND_PAIRS,     /* struct opt_pairs: NAME=TEXT, given repeatedly */
};

/* HOST:PORT, [V6]:PORT or :PORT; host has no brackets. */
struct opt_addr {
	char host[256];
	int port;
};

/* "HOST:PORT", with brackets where they are needed; free() it. */
char *opt_addr_text(const struct opt_addr *a);

enum { OPT_LIST_MAX = 64 };
struct opt_list {
	size_t n;
	const char *at[OPT_LIST_MAX];
	bool by_flag; /* not from the environment or a file */
};

/* Of two that exclude each other the one by a flag is meant; what stands
 * elsewhere makes way for it. */
void opt_prefer_flag(struct opt_list *a, struct opt_list *b);

/* INVALID_ARGUMENT if the option has more than one value. */
int opt_single(const struct opt_list *all, const char *option,
	       struct err *err) MUST_CHECK;

/* NAME=TEXT by a flag, `option.NAME = TEXT` in a file; of two texts of a name
 * the one from the first source holds. */
enum { OPT_PAIRS_MAX = 32 };
struct opt_pairs {
	size_t n;
	struct opt_pair {
		const char *name, *text;
		bool by_flag;
	} at[OPT_PAIRS_MAX];
};

/* A row. Made by the macros below; what follows the brief of a macro sets
 * further fields, as in OPT_INT(…, "node id", .alias = "node-id"). */
struct opt {
	const char *name; /* long option, words joined by '-'; NULL ends */
	char letter;      /* short option, or 0 */
	enum opt_kind kind;
	size_t at;           /* offset in the program's struct */
	const char *arg;     /* what -h calls the value; NULL for flags */
	const char *def;     /* parsed like any value; NULL leaves zero */
	int64_t min, max;    /* of integers, ms and bytes, when min < max; min
				also of a list's length */
	double rmin, rmax;   /* of reals, when rmin < rmax */
	const char *choices; /* "a|b|c" */
	const char *brief;   /* one line, lower case, no full stop */
	const char *env;     /* more variables: "A B", the first set wins */
	const char *alias;   /* more long names: "a b", not in -h */
	bool hidden;         /* not in -h: a seed's spelling */
	bool flag_only;      /* not from the environment or a file */
	bool required;       /* without a value: exit 2 */
};

/* The offset of m, once it is known to have the type that the kind writes. */
#define OPT_AT(T, m, type) \
	(offsetof(T, m) + 0 * sizeof((type *)0 == &((T *)0)->m))
#define OPT_ROW(k, c, n, t, T, m, a, d, b, ...)                              \
	{                                                                    \
		.kind = OPT_KIND_##k, .letter = (c), .name = (n),            \
		.at = OPT_AT(T, m, t), .arg = (a), .def = (d), .brief = (b), \
		__VA_ARGS__                                                  \
	}

/* letter (or 0), long name, struct, member, … brief. A default is text. */
#define OPT_BOOL(c, n, T, m, brief, ...) \
	OPT_ROW(BOOL, c, n, bool, T, m, NULL, NULL, brief, __VA_ARGS__)
#define OPT_COUNT(c, n, T, m, brief, ...) \
	OPT_ROW(COUNT, c, n, int, T, m, NULL, NULL, brief, __VA_ARGS__)
#define OPT_STRING(c, n, T, m, arg, def, brief, ...) \
	OPT_ROW(STRING, c, n, const char *, T, m, arg, def, brief, __VA_ARGS__)
#define OPT_FILE(c, n, T, m, def, brief, ...) \
	OPT_ROW(FILE, c, n, const char *, T, m, "FILE", def, brief, __VA_ARGS__)
#define OPT_INT(c, n, T, m, arg, def, low, high, brief, ...)         \
	OPT_ROW(INT, c, n, int, T, m, arg, def, brief, .min = (low), \
		.max = (high), __VA_ARGS__)
#define OPT_INT64(c, n, T, m, arg, def, low, high, brief, ...)             \
	OPT_ROW(INT64, c, n, int64_t, T, m, arg, def, brief, .min = (low), \
		.max = (high), __VA_ARGS__)
#define OPT_REAL(c, n, T, m, arg, def, low, high, brief, ...)             \
	OPT_ROW(REAL, c, n, double, T, m, arg, def, brief, .rmin = (low), \
		.rmax = (high), __VA_ARGS__)
#define OPT_SECONDS(c, n, T, m, def, brief, ...) \
	OPT_ROW(SECONDS, c, n, int64_t, T, m, "TIME", def, brief, __VA_ARGS__)
#define OPT_MILLIS(c, n, T, m, def, brief, ...) \
	OPT_ROW(MILLIS, c, n, int64_t, T, m, "MS", def, brief, __VA_ARGS__)
#define OPT_SIZE(c, n, T, m, def, brief, ...) \
	OPT_ROW(SIZE, c, n, int64_t, T, m, "SIZE", def, brief, __VA_ARGS__)
#define OPT_CHOICE(c, n, T, m, list, def, brief, ...)                         \
	OPT_ROW(CHOICE, c, n, int, T, m, list, def, brief, .choices = (list), \
		__VA_ARGS__)
#define OPT_WORD(c, n, T, m, arg, list, def, brief, ...)         \
	OPT_ROW(WORD, c, n, const char *, T, m, arg, def, brief, \
		.choices = (list), __VA_ARGS__)
#define OPT_ADDR(c, n, T, m, def, brief, ...)                               \
	OPT_ROW(ADDR, c, n, struct opt_addr, T, m, "HOST:PORT", def, brief, \
		__VA_ARGS__)
#define OPT_URLS(c, n, T, m, def, brief, ...)                                  \
	OPT_ROW(URLS, c, n, struct opt_list, T, m, "URL[,URL...]", def, brief, \
		__VA_ARGS__)
#define OPT_LIST(c, n, T, m, arg, def, brief, ...) \
	OPT_ROW(LIST, c, n, struct opt_list, T, m, arg, def, brief, __VA_ARGS__)
#define OPT_PAIRS(c, n, T, m, arg, brief, ...)                         \
	OPT_ROW(PAIRS, c, n, struct opt_pairs, T, m, arg, NULL, brief, \
		__VA_ARGS__)
#define OPT_END              \
	{                    \
		.name = NULL \
	}

/* Files of TLS, in PEM; NULL: none. */
struct tls_opts {
	const char *cert, *key, *ca;
};

#define OPT_TLS(T, m)                                                    \
	OPT_FILE(0, "tls-cert", T, m.cert, NULL,                         \
		 "our certificate, with what leads to its authority"),   \
		OPT_FILE(0, "tls-key", T, m.key, NULL,                   \
			 "its private key; only the owner may read it"), \
		OPT_FILE(0, "tls-ca", T, m.ca, NULL,                     \
			 "the authorities whose certificates are good")

/* How a client reaches the cluster. */
struct client_opts {
	struct opt_list gateways; /* http(s)://host:port, no trailing slash */
	const char *node;         /* an id or a URL, or NULL: any */
	int64_t timeout_ms;       /* 0 waits for ever */
	struct tls_opts tls;
};

#define OPT_GATEWAY(T, m)                                                    \
	OPT_URLS('g', "gateway", T, m, "http://127.0.0.1:8090",              \
		 "the gateways to ask"),                                     \
		OPT_ROW(URL_HOST, 0, "gateway-host", struct opt_list, T, m,  \
			"HOST", NULL, "host of the gateway", .hidden = true, \
			.env = "GOSSIPFL_GATEWAY_HOST"),                     \
		OPT_ROW(URL_PORT, 0, "gateway-port", struct opt_list, T, m,  \
			"PORT", NULL, "port of the gateway", .hidden = true, \
			.env = "GOSSIPFL_GATEWAY_PORT")
#define OPT_TIMEOUT(T, m)                      \
	OPT_SECONDS('t', "timeout", T, m, "5", \
		    "give up after this long; 0 waits for ever")
#define OPT_CLIENT(T, m)                                         \
	OPT_GATEWAY(T, m.gateways),                              \
		OPT_STRING(0, "node", T, m.node, "ID|URL", NULL, \
			   "ask this node instead of any"),      \
		OPT_TIMEOUT(T, m.timeout_ms), OPT_TLS(T, m.tls)

#define OPT_SERVER_URL "http://127.0.0.1:8700"
#define OPT_SERVER(T, m)                                                   \
	OPT_URLS(0, "server", T, m, OPT_SERVER_URL,                        \
		 "the gfl-server that is meant, or whose participants or " \
		 "clients are; of several (--on-leader) the active one")

#define OPT_LINEARIZABLE(T, m)                                         \
	OPT_BOOL(0, "linearizable", T, m,                              \
		 "all that was acknowledged before, confirmed by the " \
		 "leader, or fail")

/* A sub-command: `gfl-run start`. Its options come on top of the program's. */
struct opt_cmd {
	const char *name; /* NULL ends */
	const char *args, *brief;
	const struct opt *opts; /* or NULL */
};

/* A program. args names the operands as -h shows them, "TO [TEXT]...": words
 * in brackets may be left out, dots allow more; their number is checked. */
struct prog {
	const char *name, *args, *brief;
	const char *about;   /* sentences, wrapped when printed; of paragraphs,
				parted by "\n\n", -h has the first */
	const char *example; /* lines for the man page, or NULL */
	const char *exits;   /* instead of the common exit statuses, or NULL */
	int failure; /* every failure's status instead of theirs, or 0 */
	const struct opt *opts;
	const struct opt_cmd *cmds; /* or NULL */
	size_t command_at; /* offset of the int that takes the command's index
			    */
	bool command_optional; /* without one the first is meant */
	bool daemon;           /* logs from info on; a client from warn on */
};

/* Fill cfg from all sources. Returns the index of the first operand (behind the
 * command); argv is permuted so that operands come last. Prints and exits:
 * --help, --version, --show-config with 0, a usage error with 2, a file that
 * --config names and that is not there with 1. Sets up the log. */
int opt_parse(const struct prog *prog, void *cfg, int argc, char **argv);

/* Fill cfg anew, of the same argv: its files may say something else by now. A
 * program without commands only. Sets the level of the log; fails where
 * opt_parse() would exit. */
int opt_again(const struct prog *prog, void *cfg, int argc, char **argv,
	      struct err *err) MUST_CHECK;

/* The operand at index i, or otherwise when there is none. */
const char *opt_arg(int argc, char **argv, int i, const char *otherwise);

/* The rows that hold for a command (or NULL) of a program: its own, the
 * command's, those every program has; at most OPT_ROWS. A row hides a later one
 * of the same name. Returns their number. For -h and its kin. */
enum { OPT_ROWS = 128 };
size_t opt_rows(const struct prog *prog, const struct opt_cmd *cmd,
		const struct opt *rows[OPT_ROWS]);

/* Is row one of those that every program has? */
bool opt_is_common(const struct opt *row);

/* "GFL_LOG_LEVEL" for "log-level". */
void opt_env_name(char *out, size_t size, const char *name);

/* Print `NAME: SENTENCE` and the hint on stderr; returns the exit status. */
int err_report(const struct prog *prog, const struct err *err);

#endif
