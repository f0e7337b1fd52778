#include "task/reach.h"

const char *reach_url(const struct reach *r)
{
	return r->masters.at[0];
}

int reach_check(const struct reach *r, struct err *err)
{
	return opt_single(&r->masters, "master", err)
		       ? err_hint(err, "each master has tasks of its own")
		       : 0;
}

void reach_hint(struct err *err)
{
	if (err->code == ERR_UNAVAILABLE)
		err_hint(err, "start gfl-master, or name one with -m or "
			      "GFL_MASTER");
}

int reach_call(const struct reach *r, enum rpc_name name,
	       const ProtobufCMessage *in, ProtobufCMessage **out,
	       struct err *err)
{
	int rc = reach_check(r, err);

	if (rc)
		return rc;
	rc = client_now(&r->tls, reach_url(r), name, in, r->timeout_ms, out,
			err);
	if (rc)
		reach_hint(err);
	return rc;
}
