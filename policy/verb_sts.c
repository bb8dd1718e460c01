/* SPDX-License-Identifier: ISC */
/*
 * sts-list, sts-forget: the MTA-STS policies that are remembered.
 */
#include "policy/verbs.h"

#include "base/clock.h"
#include "base/mem.h"
#include "policy/plan_request.h"
#include "policy/policy.h"
#include "policy/sts.h"

static void add_policy(void *arg, const char *domain,
    const struct sts_answer *answer)
{
	char fetched[40], expires[40];
	json_t *patterns = json_array();
	size_t i;

	for (i = 0; i < answer->policy.mx_count; i++)
		json_array_append_new(patterns,
		    json_string(answer->policy.mx[i]));
	clock_format_iso(answer->fetched, fetched, sizeof(fetched));
	clock_format_iso(answer->expires, expires, sizeof(expires));
	verbs_page_add(arg, json_pack("{s:s, s:s, s:o, s:I, s:s, s:s, s:s}",
	    "domain", domain, "mode", sts_mode_name(answer->policy.mode), "mx",
	    patterns, "max-age", (json_int_t)answer->policy.max_age, "id",
	    answer->id, "fetched", fetched, "expires", expires));
}

struct walk {
	uint64_t	 cursor;
	bool		 over;
};

static unsigned walk_more(void *arg, struct verbs_page *page)
{
	struct walk *walk = arg;
	struct plan_context context;

	if (walk->over)
		return 0;
	policy_context(&context);
	walk->cursor = sts_scan(context.sts, walk->cursor, add_policy, page);
	walk->over = walk->cursor == 0;
	return 1;
}

void verb_sts_list(struct control *control, const json_t *arguments)
{
	(void)arguments;
	verbs_send(control, walk_more, mem_free,
	    mem_alloc(sizeof(struct walk)), "no MTA-STS policy is remembered");
}

void verb_sts_forget(struct control *control, const json_t *arguments)
{
	struct plan_context context;
	char domain[256];

	if (verbs_read_domain(control, arguments, "domain", domain,
	    sizeof(domain)) == -1)
		return;
	policy_context(&context);
	if (!sts_forget(context.sts, domain)) {
		control_end(control, CONTROL_NONE_MATCHED,
		    "no MTA-STS policy of that domain is remembered");
		return;
	}
	verbs_log(control, "sts-forget", domain, NULL);
	control_send(control, json_pack("{s:s}", "forgotten", domain));
	control_end(control, CONTROL_OK, NULL);
}
