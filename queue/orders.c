/* SPDX-License-Identifier: ISC */
/*
 * A list, in the order in which they were made, and a row for each. Whatever
 * changes a pause has the schedule look at everything anew: that is a matter of
 * the operator's hand, and rare.
 */
#include "queue/orders.h"

#include <endian.h>
#include <string.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/wire.h"
#include "queue/commit.h"
#include "queue/dispatch.h"
#include "queue/envelope.h"
#include "queue/pattern.h"
#include "queue/queue.h"
#include "queue/schedule.h"
#include "queue/store.h"

enum { ORDER_VERSION = 1, ORDER_ROW_MAX = 8 * ORDER_TEXT_MAX + 128,
	/* The clock may be set while a timer runs, or the machine sleep. */
	LOOK_MILLISECONDS = 60 * 1000 };

/* Where the next number is kept. */
static const char number_key[] = "order";

struct kept_order {
	struct order		 order;
	TAILQ_ENTRY(kept_order)	 link;
};

struct orders {
	struct queue		*queue;		/* outlives us */
	TAILQ_HEAD(, kept_order) list;		/* owned */
	unsigned		 count;
	uint64_t		 last_number;
	struct timer		 end;		/* the next one's */
};

static void release_texts(struct order *order)
{
	mem_free(order->sender);
	mem_free(order->recipient);
	mem_free(order->domain);
	mem_free(order->client);
	mem_free(order->user);
	mem_free(order->place);
	mem_free(order->reason);
	mem_free(order->author);
}

void order_free(struct order *order)
{
	if (order == NULL)
		return;
	release_texts(order);
	mem_free(order);
}

/* --- rows --- */

static void put_optional(struct wire_writer *writer, const char *text)
{
	wire_put_u8(writer, text != NULL);
	if (text != NULL)
		wire_put_text(writer, text);
}

static char *get_optional(struct wire_reader *reader)
{
	char text[ORDER_TEXT_MAX + 1];

	if (wire_get_enum(reader, 2) == 0)
		return NULL;
	wire_copy_text(reader, text, sizeof(text));
	return mem_dup_string(text);
}

static struct store_bytes key_of(uint64_t number, uint64_t *bytes)
{
	*bytes = htobe64(number);
	return (struct store_bytes){ bytes, sizeof(*bytes) };
}

static void put_row(struct store *store, const struct order *order)
{
	struct wire_writer writer;
	struct buf value;
	uint64_t bytes;

	buf_init(&value, ORDER_ROW_MAX);
	wire_write_begin(&writer, &value);
	wire_put_u8(&writer, ORDER_VERSION);
	wire_put_u8(&writer, (uint8_t)order->kind);
	put_optional(&writer, order->sender);
	put_optional(&writer, order->recipient);
	put_optional(&writer, order->domain);
	put_optional(&writer, order->client);
	put_optional(&writer, order->user);
	wire_put_u64(&writer, order->larger);
	put_optional(&writer, order->place);
	put_optional(&writer, order->reason);
	put_optional(&writer, order->author);
	wire_put_u64(&writer, (uint64_t)order->made);
	wire_put_u64(&writer, (uint64_t)order->ends);
	if (wire_write_end(&writer) < 0)
		bug("order-size");
	store_put(store, STORE_ORDERS, key_of(order->number, &bytes),
	    (struct store_bytes){ buf_data(&value), buf_length(&value) });
	buf_release(&value);
}

/* -1: it cannot be one of ours. What was read of it is in order. */
static int get_row(struct order *order, const struct store_row *row)
{
	struct wire_reader reader;
	uint64_t number;

	if (row->key.length != sizeof(number))
		return -1;
	memcpy(&number, row->key.data, sizeof(number));
	order->number = be64toh(number);
	wire_read_begin(&reader, row->value.data, row->value.length);
	if (wire_get_u8(&reader) != ORDER_VERSION)
		return -1;
	order->kind = (enum order_kind)wire_get_enum(&reader, ORDER_KINDS);
	order->sender = get_optional(&reader);
	order->recipient = get_optional(&reader);
	order->domain = get_optional(&reader);
	order->client = get_optional(&reader);
	order->user = get_optional(&reader);
	order->larger = wire_get_u64(&reader);
	order->place = get_optional(&reader);
	order->reason = get_optional(&reader);
	order->author = get_optional(&reader);
	order->made = (int64_t)wire_get_u64(&reader);
	order->ends = (int64_t)wire_get_u64(&reader);
	if (order->reason == NULL || order->author == NULL ||
	    (order->kind == ORDER_PAUSE && order->place == NULL))
		reader.bad = true;
	return wire_read_end(&reader);
}

static uint64_t find_number(struct store *store)
{
	struct buf value;
	uint64_t number = 0;

	buf_init(&value, sizeof(number));
	if (store_get(store, STORE_META, (struct store_bytes){ number_key,
	    sizeof(number_key) - 1 }, &value) &&
	    buf_length(&value) == sizeof(number))
		memcpy(&number, buf_data(&value), sizeof(number));
	buf_release(&value);
	return be64toh(number);
}

static void put_number(struct store *store, uint64_t number)
{
	uint64_t bytes;

	store_put(store, STORE_META, (struct store_bytes){ number_key,
	    sizeof(number_key) - 1 }, key_of(number, &bytes));
}

/* --- what follows from a change --- */

static void on_end(void *arg);

/* The next end of one, or no timer. */
static void wait_for_end(struct orders *orders)
{
	struct kept_order *kept;
	int64_t now = clock_wall(), next = INT64_MAX, wait;

	TAILQ_FOREACH(kept, &orders->list, link)
		if (kept->order.ends != 0 && kept->order.ends < next)
			next = kept->order.ends;
	timer_stop(&orders->end);
	if (next == INT64_MAX)
		return;
	wait = next > now ? next - now : 0;
	timer_start(&orders->end, wait < LOOK_MILLISECONDS ? wait :
	    LOOK_MILLISECONDS, on_end, orders);
}

/* Destinations and workers learn of it. Not while the queue opens: then they
 * are not there yet, and ask. */
static void tell(struct orders *orders)
{
	struct queue *queue = orders->queue;

	wait_for_end(orders);
	if (queue->schedule != NULL)
		schedule_reload(queue->schedule);
	if (queue->dispatch != NULL)
		dispatch_tell_pauses(queue->dispatch);
}

static void drop(struct orders *orders, struct kept_order *kept)
{
	uint64_t bytes;

	store_delete(orders->queue->store, STORE_ORDERS,
	    key_of(kept->order.number, &bytes));
	TAILQ_REMOVE(&orders->list, kept, link);
	orders->count--;
	release_texts(&kept->order);
	mem_free(kept);
}

/* Those whose time is over; a timer of the wall clock may come early. */
static void on_end(void *arg)
{
	struct orders *orders = arg;
	struct kept_order *kept, *next;
	int64_t now = clock_wall();
	bool pauses = false;

	for (kept = TAILQ_FIRST(&orders->list); kept != NULL; kept = next) {
		next = TAILQ_NEXT(kept, link);
		if (kept->order.ends == 0 || kept->order.ends > now)
			continue;
		log_info("order-ended",
		    log_number("number", (int64_t)kept->order.number),
		    log_text("reason", kept->order.reason));
		pauses |= kept->order.kind == ORDER_PAUSE;
		drop(orders, kept);
	}
	if (pauses)
		tell(orders);
	else
		wait_for_end(orders);
}

/* --- life --- */

static void load(struct orders *orders)
{
	struct store_page page = { 0 };
	size_t i;

	store_scan(orders->queue->store, &(struct store_scan){
	    .table = STORE_ORDERS, .max_rows = ORDERS_MAX,
	    .max_bytes = ORDERS_MAX * ORDER_ROW_MAX }, &page);
	for (i = 0; i < page.count; i++) {
		struct kept_order *kept = mem_alloc(sizeof(*kept));

		if (get_row(&kept->order, &page.rows[i]) < 0) {
			log_error("damaged-row", log_text("table", "orders"));
			release_texts(&kept->order);
			mem_free(kept);
			continue;
		}
		TAILQ_INSERT_TAIL(&orders->list, kept, link);
		orders->count++;
		if (kept->order.number > orders->last_number)
			orders->last_number = kept->order.number;
	}
	store_page_release(&page);
}

struct orders *orders_new(struct queue *queue)
{
	struct orders *orders = mem_alloc(sizeof(*orders));

	orders->queue = queue;
	TAILQ_INIT(&orders->list);
	orders->last_number = find_number(queue->store);
	load(orders);
	wait_for_end(orders);
	return orders;
}

void orders_free(struct orders *orders)
{
	struct kept_order *kept;

	if (orders == NULL)
		return;
	timer_stop(&orders->end);
	while ((kept = TAILQ_FIRST(&orders->list)) != NULL) {
		TAILQ_REMOVE(&orders->list, kept, link);
		release_texts(&kept->order);
		mem_free(kept);
	}
	mem_free(orders);
}

const struct order *orders_add(struct orders *orders, struct order *order)
{
	struct kept_order *kept;

	if (orders->count >= ORDERS_MAX)
		return NULL;
	kept = mem_alloc(sizeof(*kept));
	kept->order = *order;
	mem_free(order);
	kept->order.number = ++orders->last_number;
	kept->order.made = clock_wall();
	put_number(orders->queue->store, orders->last_number);
	put_row(orders->queue->store, &kept->order);
	TAILQ_INSERT_TAIL(&orders->list, kept, link);
	orders->count++;
	if (kept->order.kind == ORDER_PAUSE)
		tell(orders);
	else
		wait_for_end(orders);
	return &kept->order;
}

bool orders_remove(struct orders *orders, enum order_kind kind,
    uint64_t number)
{
	struct kept_order *kept;

	TAILQ_FOREACH(kept, &orders->list, link)
		if (kept->order.number == number && kept->order.kind == kind)
			break;
	if (kept == NULL)
		return false;
	drop(orders, kept);
	if (kind == ORDER_PAUSE)
		tell(orders);
	else
		wait_for_end(orders);
	return true;
}

/* --- questions --- */

static bool holds(const struct order *order,
    const struct commit_message *message, const struct envelope_recipient *who)
{
	const struct envelope *envelope = message->envelope;
	const char *client = envelope->client;
	const char *user = envelope->user;

	return order->kind == ORDER_HOLD &&
	    message->body_length >= order->larger &&
	    pattern_matches(order->sender, envelope->sender) &&
	    pattern_matches(order->recipient, who->address) &&
	    pattern_matches(order->domain, who->domain) &&
	    pattern_matches(order->client, client == NULL ? "" : client) &&
	    pattern_matches(order->user, user == NULL ? "" : user);
}

const struct order *orders_find_hold(struct orders *orders,
    const struct commit_message *message, const struct envelope_recipient *who)
{
	struct kept_order *kept;

	TAILQ_FOREACH(kept, &orders->list, link)
		if (holds(&kept->order, message, who)) {
			kept->order.used++;
			return &kept->order;
		}
	return NULL;
}

const struct order *orders_find_pause(const struct orders *orders,
    const char *name)
{
	const struct kept_order *kept;

	TAILQ_FOREACH(kept, &orders->list, link)
		if (kept->order.kind == ORDER_PAUSE &&
		    pattern_matches(kept->order.place, name))
			return &kept->order;
	return NULL;
}

void orders_each(const struct orders *orders, enum order_kind kind,
    void (*visit)(void *arg, const struct order *order), void *arg)
{
	const struct kept_order *kept;

	TAILQ_FOREACH(kept, &orders->list, link)
		if (kept->order.kind == kind)
			visit(arg, &kept->order);
}
