/* SPDX-License-Identifier: ISC */
/*
 * See fake_policy_client.h.
 */
#include "tests/fake_policy_client.h"

#include <stdio.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"

const struct plan *fake_policy_plan;
unsigned fake_policy_questions;
char fake_policy_domain[256];
struct conf_next_hop fake_policy_next;
int64_t fake_policy_waited;

struct policy_request {
	policy_plan_done	*done;
	void			*arg;
};

struct policy_client *policy_client_new(void)
{
	return NULL;
}

void policy_client_free(struct policy_client *client)
{
	(void)client;
}

void policy_client_connect(struct policy_client *client, int fd)
{
	(void)client;
	(void)fd;
	bug("fake-policy");
}

static void answer(void *arg)
{
	struct policy_request request = *(struct policy_request *)arg;

	mem_free(arg);
	request.done(request.arg, fake_policy_plan);
}

struct policy_request *policy_plan(struct policy_client *client,
    const struct policy_question *question, policy_plan_done *done,
    void *arg)
{
	struct policy_request *request = mem_alloc(sizeof(*request));

	(void)client;
	snprintf(fake_policy_domain, sizeof(fake_policy_domain), "%s",
	    question->domain);
	fake_policy_next = *question->next;
	fake_policy_waited = question->waited;
	fake_policy_questions++;
	request->done = done;
	request->arg = arg;
	loop_defer(answer, request);
	return request;
}

struct policy_request *policy_reverse(struct policy_client *client,
    const struct endpoint *address, int milliseconds,
    policy_reverse_done *done, void *arg)
{
	(void)client;
	(void)address;
	(void)milliseconds;
	(void)done;
	(void)arg;
	bug("fake-policy");
}

void policy_cancel(struct policy_request *request)
{
	loop_undefer(request);
	mem_free(request);
}
