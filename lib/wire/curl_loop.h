/* curl_loop.h - libcurl's transfers in the event loop. */
#ifndef WIRE_CURL_LOOP_H
#define WIRE_CURL_LOOP_H

#include <curl/curl.h>

#include "base/loop.h"

struct curl_loop;

/* A transfer is over and has been removed. Runs outside of libcurl, so that
 * transfers may be added and removed; so does after, at the end of each turn
 * in which libcurl did something. */
typedef void curl_done_fn(CURL *easy, CURLcode code, void *arg);
typedef void curl_after_fn(void *arg);

/* Never NULL. max_idle connections are kept. */
struct curl_loop *curl_loop_new(struct loop *loop, long max_idle,
				curl_done_fn *done, curl_after_fn *after,
				void *arg);

/* Every transfer has to be removed before, and neither hook may be running. */
void curl_loop_free(struct curl_loop *cl);

void curl_loop_add(struct curl_loop *cl, CURL *easy);

/* End a transfer early: its connection is closed. Not from a callback of
 * libcurl. */
void curl_loop_remove(struct curl_loop *cl, CURL *easy);

#endif
