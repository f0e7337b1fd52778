#include "wire/dialect.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "wire/json.h"

#define ROW(name, k, is_json)                                              \
	{                                                                  \
		.type = (name), .error_type = (name), .kind = DIALECT_##k, \
		.json = (is_json)                                          \
	}
#define TEXT(name)                                                         \
	{                                                                  \
		.type = (name), .error_type = (name), .kind = DIALECT_WEB, \
		.text = true                                               \
	}
#define UNARY(name, is_json)                                      \
	{                                                         \
		.type = (name), .error_type = "application/json", \
		.kind = DIALECT_UNARY, .json = (is_json)          \
	}

static const struct dialect dialects[] = {
	ROW("application/grpc", GRPC, false),
	ROW("application/grpc+proto", GRPC, false),
	ROW("application/grpc+json", GRPC, true),
	ROW("application/grpc-web+proto", WEB, false),
	ROW("application/grpc-web", WEB, false),
	ROW("application/grpc-web+json", WEB, true),
	TEXT("application/grpc-web-text"),
	TEXT("application/grpc-web-text+proto"),
	UNARY("application/json", true),
	UNARY("application/proto", false),
	ROW("application/connect+json", CONNECT, true),
	ROW("application/connect+proto", CONNECT, false),
};

const struct dialect dialect_old = {
	.type = "application/json",
	.error_type = "application/json",
	.kind = DIALECT_UNARY,
	.json = true,
	.flags = JSON_SNAKE | JSON_DEFAULTS | JSON_NUMBERS |
		 JSON_NULLS,
};

const struct dialect *dialect_classify(const char *content_type)
{
	size_t len = strcspn(content_type, "; \t");
	const char *rest = content_type + len;

	rest += strspn(rest, " \t");
	if (*rest && *rest != ';')
		return NULL;
	for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++)
		if (!strncasecmp(dialects[i].type, content_type, len) &&
		    !dialects[i].type[len])
			return &dialects[i];
	return NULL;
}

bool dialect_serves(const struct dialect *d, enum rpc_kind kind)
{
	switch (d->kind) {
	case DIALECT_GRPC:
	case DIALECT_WEB:
		return true;
	case DIALECT_UNARY:
		return kind == RPC_UNARY;
	case DIALECT_CONNECT:
		return kind != RPC_UNARY;
	}
	return false;
}

const struct dialect *dialect_answer(const struct dialect *asked,
				     const char *accept)
{
	const struct dialect *d = accept ? dialect_classify(accept) : NULL;

	if (asked->kind != DIALECT_WEB || !d || d->kind != DIALECT_WEB ||
	    d->json != asked->json)
		return asked;
	return d;
}

static bool is_grpc(const struct dialect *d)
{
	return d->kind == DIALECT_GRPC || d->kind == DIALECT_WEB;
}

const char *dialect_timeout_name(const struct dialect *d)
{
	return is_grpc(d) ? "grpc-timeout" : "connect-timeout-ms";
}

/* value is of this many units, each so many ms, or so many to the ms. */
static const struct {
	char unit;
	int64_t ms, per_ms;
} units[] = {
	{'H', 3600000, 1}, {'M', 60000, 1}, {'S', 1000, 1},
	{'m', 1, 1},       {'u', 1, 1000},  {'n', 1, 1000000},
};

int dialect_timeout(const struct dialect *d, const char *value, int64_t *ms,
		    struct err *err)
{
	bool unit = is_grpc(d);
	size_t digits;

	*ms = INT64_MAX;
	if (!value)
		return 0;
	digits = strspn(value, "0123456789");
	if (!digits || digits > (unit ? 8 : 10) ||
	    strlen(value) != digits + unit)
		return err_set(err, ERR_INVALID_ARGUMENT, "bad %s",
			       dialect_timeout_name(d));
	*ms = strtoll(value, NULL, 10);
	if (!unit)
		return 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].unit != value[digits])
			continue;
		*ms = *ms * units[i].ms / units[i].per_ms;
		return 0;
	}
	return err_set(err, ERR_INVALID_ARGUMENT, "bad grpc-timeout");
}
