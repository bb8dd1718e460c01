/* SPDX-License-Identifier: ISC */
/*
 * hold-rule-add, -list and -remove; pause and resume. What is added or removed
 * is answered when it is durable, and logged with who wanted it.
 */
#include <string.h>

#include "base/clock.h"
#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "queue/commit.h"
#include "queue/orders.h"
#include "queue/queue.h"
#include "queue/verbs.h"

enum { ENDS_SECONDS_MAX = 366 * 86400 };

/* An answer that waits for its batch. */
struct order_answer {
	struct control		*control;	/* outlives us */
	struct commit_wait	 wait;
	json_t			*object;	/* owned until it is sent */
};

static void answer_free(void *arg)
{
	struct order_answer *answer = arg;

	commit_wait_cancel(&answer->wait);
	json_decref(answer->object);
	mem_free(answer);
}

static void on_durable(void *arg)
{
	struct order_answer *answer = arg;

	control_send(answer->control, answer->object);
	answer->object = NULL;
	control_end(answer->control, CONTROL_OK, "");
}

/* Nothing comes before the batch is durable. */
static void produce_nothing(struct control *control, void *arg)
{
	(void)control;
	(void)arg;
}

static void answer_durable(struct control *control, json_t *object)
{
	struct order_answer *answer = mem_alloc(sizeof(*answer));

	answer->control = control;
	answer->object = object;
	control_produce(control, produce_nothing, answer_free, answer);
	commit_wait(verbs_queue()->commit, &answer->wait, on_durable, answer);
}

/* --- reading --- */

/* One line without control characters; null: there is none, or *error. */
static char *read_text(const json_t *arguments, const char *name,
    const char **error)
{
	const json_t *value = json_object_get(arguments, name);
	const char *text = json_string_value(value);
	const char *at;

	if (value == NULL)
		return NULL;
	if (text == NULL || strlen(text) != json_string_length(value) ||
	    strlen(text) > ORDER_TEXT_MAX) {
		*error = "a text of at most 320 bytes is expected";
		return NULL;
	}
	for (at = text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*error = "a text may have no control characters";
	return *error == NULL ? mem_dup_string(text) : NULL;
}

static void read_number(const json_t *arguments, const char *name,
    int64_t most, int64_t *out, const char **error)
{
	const json_t *value = json_object_get(arguments, name);

	if (value == NULL)
		return;
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    json_integer_value(value) > most)
		*error = strcmp(name, "ends") == 0 ?
		    "\"ends\": an end within 366 days is expected" :
		    "\"larger\": a size is expected, not negative";
	else
		*out = json_integer_value(value);
}

static bool is_known(const char *name, enum order_kind kind)
{
	static const char *const of_rules[] = { "sender", "recipient",
	    "domain", "client", "user", "larger" };

	if (strcmp(name, "reason") == 0 || strcmp(name, "ends") == 0)
		return true;
	if (kind == ORDER_PAUSE)
		return strcmp(name, "place") == 0;
	for (size_t i = 0; i < sizeof(of_rules) / sizeof(of_rules[0]); i++)
		if (strcmp(name, of_rules[i]) == 0)
			return true;
	return false;
}

static bool is_empty(const struct order *order)
{
	return order->sender == NULL && order->recipient == NULL &&
	    order->domain == NULL && order->client == NULL &&
	    order->user == NULL && order->larger == 0;
}

static const char *check(const struct order *order)
{
	if (order->reason == NULL || order->reason[0] == '\0')
		return "\"reason\": say why; it is kept and shown";
	if (order->kind == ORDER_PAUSE)
		return order->place == NULL || order->place[0] == '\0' ?
		    "\"place\": a domain, a host or an address is expected" :
		    NULL;
	return is_empty(order) ? "say which messages are meant: sender, "
	    "recipient, domain, client, user or larger" : NULL;
}

static const char *read_order(struct order *order, const json_t *arguments,
    const struct control *control)
{
	const char *name, *error = NULL;
	int64_t ends = 0, larger = 0;
	json_t *value;

	json_object_foreach((json_t *)arguments, name, value)
		if (!is_known(name, order->kind))
			return "unknown argument";
	order->sender = read_text(arguments, "sender", &error);
	order->recipient = read_text(arguments, "recipient", &error);
	order->domain = read_text(arguments, "domain", &error);
	order->client = read_text(arguments, "client", &error);
	order->user = read_text(arguments, "user", &error);
	order->place = read_text(arguments, "place", &error);
	order->reason = read_text(arguments, "reason", &error);
	read_number(arguments, "ends", ENDS_SECONDS_MAX, &ends, &error);
	read_number(arguments, "larger", INT64_MAX, &larger, &error);
	order->larger = (uint64_t)larger;
	order->ends = ends == 0 ? 0 : clock_wall() + ends * 1000;
	order->author = mem_print("uid %u", (unsigned)control_caller(
	    control)->uid);
	return error == NULL ? check(order) : error;
}

/* --- telling --- */

static void put_optional(json_t *object, const char *name, const char *text)
{
	if (text != NULL)
		json_object_set_new(object, name, control_text(text));
}

static json_t *describe(const struct order *order)
{
	json_t *object = json_pack("{s:I, s:s}", "number",
	    (json_int_t)order->number, "kind",
	    order->kind == ORDER_PAUSE ? "pause" : "hold-rule");

	put_optional(object, "sender", order->sender);
	put_optional(object, "recipient", order->recipient);
	put_optional(object, "domain", order->domain);
	put_optional(object, "client", order->client);
	put_optional(object, "user", order->user);
	if (order->larger > 0)
		json_object_set_new(object, "larger",
		    json_integer((json_int_t)order->larger));
	put_optional(object, "place", order->place);
	put_optional(object, "reason", order->reason);
	put_optional(object, "author", order->author);
	json_object_set_new(object, "made", control_time(order->made));
	json_object_set_new(object, "ends", control_time(order->ends));
	if (order->kind == ORDER_HOLD)
		json_object_set_new(object, "held",
		    json_integer((json_int_t)order->used));
	return object;
}

static void note(struct control *control, const char *verb, uint64_t number,
    const char *about)
{
	log_info("operator", log_text("verb", verb),
	    log_number("number", (int64_t)number), log_text("about", about),
	    log_number("uid", (int64_t)control_caller(control)->uid));
}

/* --- verbs --- */

static void add(struct control *control, const json_t *arguments,
    enum order_kind kind, const char *verb)
{
	struct orders *orders = verbs_queue()->orders;
	struct order *order = mem_alloc(sizeof(*order));
	const struct order *added;
	const char *error;

	order->kind = kind;
	error = read_order(order, arguments, control);
	if (error == NULL && kind == ORDER_PAUSE &&
	    orders_find_pause(orders, order->place) != NULL)
		error = "it is paused already: resume it first";
	added = error == NULL ? orders_add(orders, order) : NULL;
	if (added == NULL) {
		order_free(order);
		control_end(control, CONTROL_USAGE, error == NULL ?
		    "there are 1000 orders already: remove some" : error);
		return;
	}
	note(control, verb, added->number, added->reason);
	answer_durable(control, describe(added));
}

void verb_rule_add(struct control *control, const json_t *arguments)
{
	add(control, arguments, ORDER_HOLD, "hold-rule-add");
}

void verb_pause(struct control *control, const json_t *arguments)
{
	add(control, arguments, ORDER_PAUSE, "pause");
}

/* What fits, or all of them. */
struct listing {
	struct control	*control;
	const char	*place;		/* null: any */
	uint64_t	 number;	/* of the last one that fits */
};

static void list_one(void *arg, const struct order *order)
{
	struct listing *listing = arg;

	control_send(listing->control, describe(order));
}

/* A thousand orders fit into the output of a connection. */
void verb_rule_list(struct control *control, const json_t *arguments)
{
	struct listing listing = { .control = control };
	const char *kind = json_string_value(json_object_get(arguments,
	    "kind"));

	if (json_object_size(arguments) > (kind == NULL ? 0 : 1)) {
		control_end(control, CONTROL_USAGE, "unknown argument: "
		    "\"kind\" is known, hold-rule or pause");
		return;
	}
	orders_each(verbs_queue()->orders, kind != NULL &&
	    strcmp(kind, "pause") == 0 ? ORDER_PAUSE : ORDER_HOLD, list_one,
	    &listing);
	control_end(control, CONTROL_OK, "");
}

void verb_rule_remove(struct control *control, const json_t *arguments)
{
	const json_t *value = json_object_get(arguments, "number");
	uint64_t number = (uint64_t)json_integer_value(value);

	if (!json_is_integer(value) || json_object_size(arguments) != 1) {
		control_end(control, CONTROL_USAGE,
		    "\"number\": which rule is meant?");
		return;
	}
	if (!orders_remove(verbs_queue()->orders, ORDER_HOLD, number)) {
		control_end(control, CONTROL_NONE_MATCHED,
		    "there is no such rule; `postern queue hold-rule list` "
		    "shows those there are");
		return;
	}
	note(control, "hold-rule-remove", number, "");
	answer_durable(control, json_pack("{s:I, s:b}", "number",
	    (json_int_t)number, "removed", 1));
}

static void find_place(void *arg, const struct order *order)
{
	struct listing *listing = arg;

	if (strcasecmp(order->place, listing->place) == 0)
		listing->number = order->number;
}

void verb_resume(struct control *control, const json_t *arguments)
{
	struct listing listing = { .control = control,
	    .place = json_string_value(json_object_get(arguments, "place")) };

	if (listing.place == NULL || json_object_size(arguments) != 1) {
		control_end(control, CONTROL_USAGE,
		    "\"place\": as it was paused");
		return;
	}
	orders_each(verbs_queue()->orders, ORDER_PAUSE, find_place, &listing);
	if (listing.number == 0) {
		control_end(control, CONTROL_NONE_MATCHED,
		    "nothing is paused under that name; `postern queue "
		    "pauses` shows what is");
		return;
	}
	note(control, "resume", listing.number, listing.place);
	orders_remove(verbs_queue()->orders, ORDER_PAUSE, listing.number);
	answer_durable(control, json_pack("{s:s, s:b}", "place",
	    listing.place, "resumed", 1));
}
