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
enum plan_wish fake_policy_wish;
int fake_policy_level;
void (*fake_policy_asked)(void);
struct observation fake_policy_seen[FAKE_POLICY_SEEN_MAX];
size_t fake_policy_seen_count;
static void (*on_change)(void *arg, const char *pattern);
static void *on_change_arg;

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

bool policy_client_is_connected(const struct policy_client *client)
{
	(void)client;
	return true;
}

static void answer(void *arg)
{
	struct policy_request request = *(struct policy_request *)arg;

	mem_free(arg);
	if (fake_policy_asked != NULL)
		fake_policy_asked();
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
	fake_policy_wish = question->wish;
	fake_policy_level = question->message_level;
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

void policy_observe(struct policy_client *client,
    const struct observation *observation)
{
	(void)client;
	if (fake_policy_seen_count == FAKE_POLICY_SEEN_MAX)
		bug("fake-observations");
	fake_policy_seen[fake_policy_seen_count++] = *observation;
}

void policy_client_on_change(struct policy_client *client,
    void (*changed)(void *arg, const char *pattern), void *arg)
{
	(void)client;
	on_change = changed;
	on_change_arg = arg;
}

void fake_policy_change(const char *pattern)
{
	if (on_change == NULL)
		bug("fake-change");
	on_change(on_change_arg, pattern);
}
