/* check_impl.h - what the probes of check.c and check_server.c share. */
#ifndef REGISTRY_CHECK_IMPL_H
#define REGISTRY_CHECK_IMPL_H

#include "registry/check.h"

/* -w and -c, or what stands for them. */
void check_bounds(const struct check_opts *o, struct probe_figure *f);

/* A figure without bounds. */
void check_add(struct probe *p, const char *name, const char *help, double v);

void check_server(const struct check_opts *o, struct probe *p);

#endif
