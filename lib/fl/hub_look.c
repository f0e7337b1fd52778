/* An update is looked at, and refused with the reason. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/crc.h"
#include "base/log.h"
#include "fl/hub_impl.h"

static const struct {
	const char *name;
	enum err_code code;
} reasons[] = {
#define ROW(NAME, text, code) [HUB_##NAME] = {text, ERR_##code},
	HUB_REASONS(ROW)
#undef ROW
};

const char *hub_reason_name(enum hub_reason r)
{
	return reasons[r].name;
}

/* --- refusing --------------------------------------------------------------
 */

static bool refuse(struct hub_look *l, enum hub_reason why, const char *fmt,
		   ...) PRINTF(3, 4);

/* What the client sends can never do. */
static bool ends_part(enum hub_reason why)
{
	return why == HUB_BASE || why == HUB_MALFORMED || why == HUB_VALUES ||
	       why == HUB_HANDLER || why == HUB_UNTRAINED;
}

static bool refuse(struct hub_look *l, enum hub_reason why, const char *fmt,
		   ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	hub_refused(l, why, text);
	return false;
}

bool hub_look_scores(const struct hub_look *l)
{
	return l->client && !l->client->given.over &&
	       l->client->given.code == GFL__V1__FL_CODE__EVALUATE_PARAMS;
}

static void part_failed(struct hub_look *l)
{
	struct hub *h = l->hub;

	l->part->state = HUB_FAILED;
	l->client->given.open--;
	if (l->client->here) /* else it is lost already */
		++*(hub_look_scores(l) ? &h->scoring.lost : &h->now.lost);
}

void hub_refused(struct hub_look *l, enum hub_reason why, const char *text)
{
	struct hub *h = l->hub;

	err_set(&l->err, reasons[why].code, "%s: %s", reasons[why].name, text);
	if (why == HUB_FULL)
		err_full(&l->err, "%s: %s", reasons[why].name, text);
	h->refused[why]++;
	++*(hub_look_scores(l) ? &h->scoring.refused : &h->now.refused);
	if (l->client)
		l->client->refused[why]++;
	hub_changed(h, l->client);
	if (l->part && ends_part(why))
		part_failed(l);
	log_warn("update_refused", "client=%lld round=%lld reason=%s error=%s",
		 (long long)l->update->client_id, (long long)l->update->round,
		 reasons[why].name, text);
}

void hub_again(struct hub_look *l, struct call *call)
{
	err_full(&l->err, "it has come before, and is being admitted");
	call_fail(call, &l->err);
}

/* --- looking ---------------------------------------------------------------
 */

bool hub_look_expected(struct hub_look *l)
{
	const Gfl__V1__FlUpdateRequest *u = l->update;
	const struct hub_activation *g;
	struct hub *h = l->hub;
	struct err why;

	l->client =
		hub_client_of(h, l->call, u->client_id, u->session, &l->err);
	if (!l->client) {
		why = l->err;
		return refuse(l,
			      why.code == ERR_NOT_FOUND ? HUB_FOREIGN
							: HUB_SESSION,
			      "%s", why.msg);
	}
	hub_client_heard(l->client);
	g = &l->client->given;
	if (!u->activation && h->counted)
		return hub_carried(l);
	if (u->activation < 1 || u->activation > h->last_activation)
		return refuse(l, HUB_FOREIGN,
			      "nobody was given activation %lld",
			      (long long)u->activation);
	if (u->activation != g->id || g->over)
		return refuse(l, HUB_LATE, "round %lld is over for client %lld",
			      (long long)u->round, (long long)u->client_id);
	l->part = hub_part_of(l->client, u->activation, u->logical);
	if (!l->part)
		return refuse(l, HUB_FOREIGN,
			      "logical client %d of client %lld was not asked",
			      u->logical, (long long)u->client_id);
	return true;
}

static bool is_first(struct hub_look *l)
{
	if (l->part->state == HUB_OPEN)
		return true;
	l->part = NULL; /* which stays as it is */
	return refuse(l, HUB_DOUBLE,
		      "client %lld has sent an update in round %lld before",
		      (long long)l->update->client_id,
		      (long long)l->update->round);
}

static bool is_trained(struct hub_look *l)
{
	return !*l->update->failure ||
	       refuse(l, HUB_UNTRAINED, "client %lld could not train: %s",
		      (long long)l->update->client_id, l->update->failure);
}

static bool fits(struct hub_look *l)
{
	const Gfl__V1__FlUpdateRequest *u = l->update;
	const struct hub *h = l->hub;
	const struct hub_activation *g = &l->client->given;

	if (u->round != g->round || u->base_version < g->version ||
	    u->base_version > (h->opts.async ? h->version : g->version))
		return refuse(l, HUB_BASE,
			      "of round %lld and version %lld, expected round "
			      "%lld and version %lld",
			      (long long)u->round, (long long)u->base_version,
			      (long long)g->round, (long long)g->version);
	if (u->code != h->opts.training.code)
		return refuse(l, HUB_MALFORMED, "code %d, expected %d",
			      (int)u->code, (int)h->opts.training.code);
	if (strcmp(u->layout_hash, h->layout) != 0 ||
	    u->parameters != h->model->len)
		return refuse(l, HUB_MALFORMED,
			      "a model of %" PRIu64
			      " values and layout \"%.40s\", "
			      "expected %zu and %s",
			      u->parameters, u->layout_hash, h->model->len,
			      h->layout);
	if (u->dtype != h->opts.training.dtype)
		return refuse(l, HUB_MALFORMED,
			      "values of type %d, expected %d", (int)u->dtype,
			      (int)h->opts.training.dtype);
	return true;
}

static bool has_sense(struct hub_look *l)
{
	const Gfl__V1__FlUpdateRequest *u = l->update;
	int64_t own = l->client->logical[u->logical].examples;

	if (u->examples < 1 || u->examples > (own ? own : HUB_EXAMPLES_MAX))
		return refuse(l, HUB_MALFORMED,
			      "%lld examples, expected 1 to %lld",
			      (long long)u->examples,
			      (long long)(own ? own : HUB_EXAMPLES_MAX));
	if (u->steps < 1 || (u->_loss_case && !(fabs(u->loss) <= HUB_LOSS_MAX)))
		return refuse(l, HUB_MALFORMED, "%lld steps, loss %g",
			      (long long)u->steps, u->loss);
	if (hub_stage_has(l->hub, HUB_ON_RECEIVE) &&
	    u->values.len != l->hub->model->len * 4)
		return refuse(l, HUB_MALFORMED,
			      "%zu bytes of values, expected %zu",
			      u->values.len, l->hub->model->len * 4);
	if (u->crc32c != crc32c_of(0, u->values.data, u->values.len))
		return refuse(l, HUB_DAMAGED,
			      "the checksum of its values differs: send it "
			      "again");
	if (l->hub->admitting >= HUB_ADMITTING_MAX)
		return refuse(l, HUB_FULL, "%d updates are being admitted",
			      HUB_ADMITTING_MAX);
	return true;
}

bool hub_look_sound(struct hub_look *l)
{
	return is_first(l) && is_trained(l) && fits(l) && has_sense(l);
}
