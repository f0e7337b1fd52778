#include "task/task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const names[TASK_STATES] = {
	"waiting", "ready", "delayed", "running", "done", "failed", "cancelled",
};

const char *task_state_name(enum task_state state)
{
	return names[state];
}

bool task_state_parse(const char *name, enum task_state *state)
{
	for (int i = 0; i < TASK_STATES; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*state = (enum task_state)i;
		return true;
	}
	return false;
}

bool task_ended(enum task_state state)
{
	return state >= TASK_DONE;
}

bool task_parse_id(const char *text, int64_t *id)
{
	char *end;

	errno = 0;
	*id = strtoll(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *id > 0;
}

struct task *task_new(int64_t id, const char *text, const char *name,
		      const char *affinity)
{
	struct task *t = mem_zero(1, sizeof(*t));

	t->id = id;
	t->text = mem_str(text ? text : "");
	t->name = mem_str(name ? name : "");
	t->affinity = mem_str(affinity ? affinity : "");
	t->max_tries = TASK_TRIES;
	t->timeout_ms = TASK_TIMEOUT_MS;
	t->gpu_index = -1;
	return t;
}

void task_free(struct task *t)
{
	if (!t)
		return;
	free(t->text);
	free(t->name);
	free(t->affinity);
	free(t->worker);
	free(t->next);
	free(t);
}

void task_add_next(struct task *t, int64_t next)
{
	t->next = mem_grow(t->next, &t->cap_next, t->n_next + 1,
			   sizeof(*t->next));
	t->next[t->n_next++] = next;
}
