/* SPDX-License-Identifier: ISC */
/*
 * A row's key says all that it is about, "wNETWORK LF SENDER LF RECIPIENT" or
 * "kNETWORK LF DOMAIN"; its value, on the disk, has the times. Each row is in
 * the hash by key, in a heap by time (what goes first) and in the list of its
 * network. Times are wall clock, since they outlive the process; one from the
 * future, of a clock that was set back, becomes now.
 */
#include "policy/greylist.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/wire.h"
#include "conf/conf.h"
#include "policy/client.h"
#include "policy/ledger.h"

#define PREFIX "greylist:"

enum { WAITING, KNOWN, KINDS };

/* A known row is written again when it is older than that on the disk, or than
 * an eighth of greylist-keep. */
enum { ROW_VERSION = 1, ROW_BYTES = 17, TICK = 60000, TICK_ROWS = 2000,
    REWRITE = 3600 * 1000, KEY_MAX = 2 * GREYLIST_TEXT_MAX + 70,
    NETWORK_TEXT = 64 };

_Static_assert((int)KEY_MAX + (int)sizeof(PREFIX) <= (int)LEDGER_KEY_MAX,
    "keys fit");

struct grey_network;

struct row {
	struct heap_node	 node;		/* first member; due: waiting
						 * first, known last */
	int			 kind;
	char			*key;		/* owned */
	int64_t			 first;		/* wall, ms */
	int64_t			 written;	/* the last time on the disk */
	struct grey_network	*network;
	TAILQ_ENTRY(row)	 entries;
};

/* As long as it has rows. */
struct grey_network {
	char			 text[NETWORK_TEXT];
	size_t			 counts[KINDS];
	TAILQ_HEAD(, row)	 rows[KINDS];
};

struct greylist {
	struct ledger	*ledger;	/* outlives us */
	struct hash	*rows;		/* owned, by key */
	struct hash	*networks;	/* owned, by text */
	struct heap	 heaps[KINDS];
	int64_t		 delay, window, keep;	/* ms */
	unsigned	 ipv4, ipv6;	/* bits */
	struct timer	 tick;		/* while there are rows */
};

static const size_t ceilings[KINDS] = { GREYLIST_WAITING_MAX,
    GREYLIST_KNOWN_MAX };

/* --- keys --- */

static void make_network(const struct greylist *greylist,
    const struct endpoint *client, char *out, size_t size)
{
	bool v6 = client->address.any.sa_family == AF_INET6;
	unsigned bits = v6 ? greylist->ipv6 : greylist->ipv4, i;
	char text[INET6_ADDRSTRLEN] = "?";
	uint8_t bytes[16] = { 0 };

	if (v6)
		memcpy(bytes, &client->address.v6.sin6_addr, 16);
	else
		memcpy(bytes, &client->address.v4.sin_addr, 4);
	for (i = bits; i < 128; i++)
		bytes[i / 8] &= (uint8_t)~(0x80u >> i % 8);
	inet_ntop(v6 ? AF_INET6 : AF_INET, bytes, text, sizeof(text));
	snprintf(out, size, "%s/%u", text, bits);
}

/* Lower case, cut where no address ends. */
static void make_text(char *out, const char *text)
{
	size_t i;

	for (i = 0; text[i] != '\0' && i < GREYLIST_TEXT_MAX; i++)
		out[i] = text[i] >= 'A' && text[i] <= 'Z' ?
		    (char)(text[i] - 'A' + 'a') : text[i];
	out[i] = '\0';
}

static const char *domain_of(const char *sender)
{
	const char *at = strrchr(sender, '@');

	return at == NULL ? "" : at + 1;
}

static void make_keys(const struct greylist *greylist,
    const struct policy_greylist_question *question, char keys[KINDS][KEY_MAX])
{
	char network[NETWORK_TEXT], sender[GREYLIST_TEXT_MAX + 1],
	    recipient[GREYLIST_TEXT_MAX + 1];

	make_network(greylist, question->client, network, sizeof(network));
	make_text(sender, question->sender);
	make_text(recipient, question->recipient);
	snprintf(keys[WAITING], KEY_MAX, "w%s\n%s\n%s", network, sender,
	    recipient);
	make_text(sender, domain_of(question->sender));
	snprintf(keys[KNOWN], KEY_MAX, "k%s\n%s", network, sender);
}

/* The part of a key up to its end; the next one, or null. */
static const char *take_part(const char *part, char *out, size_t size)
{
	size_t length = strcspn(part, "\n");

	snprintf(out, size, "%.*s", (int)length, part);
	return part[length] == '\n' ? part + length + 1 : NULL;
}

/* False when it is no key of ours. */
static bool read_key(const char *key, struct greylist_entry *entry)
{
	const char *rest;

	memset(entry, 0, sizeof(*entry));
	if ((key[0] != 'w' && key[0] != 'k') || strlen(key) >= KEY_MAX)
		return false;
	entry->known = key[0] == 'k';
	rest = take_part(key + 1, entry->network, sizeof(entry->network));
	if (rest != NULL)
		rest = take_part(rest, entry->sender, sizeof(entry->sender));
	else
		return false;
	if (entry->known)
		return rest == NULL;
	return rest != NULL && take_part(rest, entry->recipient,
	    sizeof(entry->recipient)) == NULL;
}

/* --- rows on the disk --- */

static void write_row(struct greylist *greylist, struct row *row)
{
	char key[KEY_MAX + sizeof(PREFIX)];
	struct wire_writer writer;
	struct buf buf;

	snprintf(key, sizeof(key), PREFIX "%s", row->key);
	buf_init(&buf, ROW_BYTES);
	wire_write_begin(&writer, &buf);
	wire_put_u8(&writer, ROW_VERSION);
	wire_put_u64(&writer, (uint64_t)row->first);
	wire_put_u64(&writer, (uint64_t)row->node.due);
	ledger_put_soon(greylist->ledger, key, buf_data(&buf),
	    buf_length(&buf));
	buf_release(&buf);
	row->written = row->node.due;
}

static void unwrite_row(struct greylist *greylist, const struct row *row)
{
	char key[KEY_MAX + sizeof(PREFIX)];

	snprintf(key, sizeof(key), PREFIX "%s", row->key);
	ledger_delete_soon(greylist->ledger, key);
}

/* --- the table --- */

static struct grey_network *network_of(struct greylist *greylist,
    const char *key)
{
	struct grey_network *network;
	char text[NETWORK_TEXT];
	int kind;

	take_part(key + 1, text, sizeof(text));
	network = hash_find_text(greylist->networks, text);
	if (network != NULL)
		return network;
	network = mem_alloc(sizeof(*network));
	memcpy(network->text, text, sizeof(text));
	for (kind = 0; kind < KINDS; kind++)
		TAILQ_INIT(&network->rows[kind]);
	hash_put_text(greylist->networks, network->text, network);
	return network;
}

static void forget_row(struct greylist *greylist, struct row *row)
{
	struct grey_network *network = row->network;

	heap_remove(&greylist->heaps[row->kind], &row->node);
	hash_remove_text(greylist->rows, row->key);
	TAILQ_REMOVE(&network->rows[row->kind], row, entries);
	network->counts[row->kind]--;
	if (network->counts[WAITING] + network->counts[KNOWN] == 0) {
		hash_remove_text(greylist->networks, network->text);
		mem_free(network);
	}
	mem_free(row->key);
	mem_free(row);
}

static void drop_row(struct greylist *greylist, struct row *row)
{
	unwrite_row(greylist, row);
	forget_row(greylist, row);
}

static struct row *first_row(const struct greylist *greylist, int kind)
{
	return (struct row *)heap_first(&greylist->heaps[kind]);
}

static struct row *oldest_of(const struct grey_network *network, int kind)
{
	struct row *row, *oldest = TAILQ_FIRST(&network->rows[kind]);

	TAILQ_FOREACH(row, &network->rows[kind], entries)
		if (row->node.due < oldest->node.due)
			oldest = row;
	return oldest;
}

static void on_tick(void *arg);

static struct row *insert_row(struct greylist *greylist, const char *key,
    int64_t first, int64_t last)
{
	struct row *row = mem_alloc(sizeof(*row));

	row->kind = key[0] == 'k' ? KNOWN : WAITING;
	row->key = mem_dup_string(key);
	row->first = first;
	row->network = network_of(greylist, key);
	TAILQ_INSERT_TAIL(&row->network->rows[row->kind], row, entries);
	row->network->counts[row->kind]++;
	hash_put_text(greylist->rows, row->key, row);
	heap_insert(&greylist->heaps[row->kind], &row->node, last);
	if (!timer_is_running(&greylist->tick))
		timer_start(&greylist->tick, TICK, on_tick, greylist);
	return row;
}

/* The row itself may be the oldest. */
static void keep_ceilings(struct greylist *greylist, struct row *row)
{
	struct grey_network *network = row->network;
	int kind = row->kind;

	if (network->counts[kind] > GREYLIST_NETWORK_MAX)
		drop_row(greylist, oldest_of(network, kind));
	else if (greylist->heaps[kind].count > ceilings[kind])
		drop_row(greylist, first_row(greylist, kind));
}

static int64_t lifetime(const struct greylist *greylist, int kind)
{
	return kind == KNOWN ? greylist->keep : greylist->window;
}

static bool is_over(const struct greylist *greylist, const struct row *row,
    int64_t now)
{
	return now - row->node.due > lifetime(greylist, row->kind);
}

/* Some of those that are over; the rest soon. */
static void on_tick(void *arg)
{
	struct greylist *greylist = arg;
	int64_t now = clock_wall();
	unsigned count = 0;
	struct row *row;
	int kind;

	for (kind = 0; kind < KINDS; kind++)
		while (count < TICK_ROWS &&
		    (row = first_row(greylist, kind)) != NULL &&
		    is_over(greylist, row, now)) {
			drop_row(greylist, row);
			count++;
		}
	if (hash_count(greylist->rows) > 0)
		timer_start(&greylist->tick, count == TICK_ROWS ? 10 : TICK,
		    on_tick, greylist);
}

/* --- questions --- */

/* Null: there is none that counts. */
static struct row *find(struct greylist *greylist, const char *key, int64_t now)
{
	struct row *row = hash_find_text(greylist->rows, key);

	if (row == NULL || is_over(greylist, row, now))
		return NULL;
	if (row->node.due > now)
		heap_insert(&greylist->heaps[row->kind], &row->node, now);
	return row;
}

/* One that is over may still be there. */
static void begin(struct greylist *greylist, const char *key, int64_t now)
{
	struct row *row = hash_find_text(greylist->rows, key);

	if (row != NULL)
		forget_row(greylist, row);
	row = insert_row(greylist, key, now, now);
	write_row(greylist, row);
	keep_ceilings(greylist, row);
}

static void touch(struct greylist *greylist, struct row *row, int64_t now)
{
	int64_t often = greylist->keep / 8;

	heap_insert(&greylist->heaps[KNOWN], &row->node, now);
	if (now - row->written > (often < REWRITE ? often : REWRITE) ||
	    row->written > now)
		write_row(greylist, row);
}

int64_t greylist_ask(struct greylist *greylist,
    const struct policy_greylist_question *question)
{
	int64_t now = clock_wall(), wait = greylist->delay;
	char keys[KINDS][KEY_MAX];
	struct row *row;

	make_keys(greylist, question, keys);
	row = find(greylist, keys[KNOWN], now);
	if (row != NULL) {
		if (!question->look_only)
			touch(greylist, row, now);
		return 0;
	}
	row = find(greylist, keys[WAITING], now);
	if (row != NULL)
		wait = row->node.due + greylist->delay - now;
	else if (!question->look_only)
		begin(greylist, keys[WAITING], now);
	if (wait > 0)
		return (wait + 999) / 1000;
	if (!question->look_only && row != NULL) {
		drop_row(greylist, row);
		begin(greylist, keys[KNOWN], now);
	}
	return 0;
}

/* --- the start, and a store that was lost --- */

static int load(void *arg, const char *key, const void *value, size_t length)
{
	struct greylist *greylist = arg;
	struct greylist_entry entry;
	struct wire_reader reader;
	int64_t first, last, now = clock_wall();
	struct row *row;
	unsigned version;

	key += strlen(PREFIX);
	wire_read_begin(&reader, value, length);
	version = wire_get_u8(&reader);
	first = (int64_t)(wire_get_u64(&reader) & INT64_MAX);
	last = (int64_t)(wire_get_u64(&reader) & INT64_MAX);
	if (wire_read_end(&reader) == -1 || version != ROW_VERSION ||
	    !read_key(key, &entry))
		return -1;
	/* Learnt while the store was away: that is newer. */
	if (hash_find_text(greylist->rows, key) != NULL)
		return 0;
	row = insert_row(greylist, key, first > now ? now : first,
	    last > now ? now : last);
	row->written = last;
	keep_ceilings(greylist, row);
	return 0;
}

static void save_one(void *arg, const void *key, size_t length, void *value)
{
	(void)key;
	(void)length;
	write_row(arg, value);
}

static void save(void *arg)
{
	struct greylist *greylist = arg;

	hash_each(greylist->rows, save_one, greylist);
}

/* --- for operators --- */

struct scan {
	void	(*visit)(void *arg, const char *key);
	void	*arg;
};

static void scan_one(void *arg, const void *key, size_t length, void *value)
{
	const struct scan *scan = arg;
	const struct row *row = value;

	(void)key;
	(void)length;
	scan->visit(scan->arg, row->key);
}

uint64_t greylist_scan(struct greylist *greylist, uint64_t cursor,
    void (*visit)(void *arg, const char *key), void *arg)
{
	struct scan scan = { .visit = visit, .arg = arg };

	return hash_scan(greylist->rows, cursor, scan_one, &scan);
}

bool greylist_find(const struct greylist *greylist, const char *key,
    struct greylist_entry *entry)
{
	const struct row *row = hash_find_text(greylist->rows, key);

	if (row == NULL || is_over(greylist, row, clock_wall()) ||
	    !read_key(key, entry))
		return false;
	entry->first = row->first;
	entry->last = row->node.due;
	entry->from = row->node.due + (entry->known ? 0 : greylist->delay);
	entry->until = row->node.due + lifetime(greylist, row->kind);
	return true;
}

bool greylist_is_about(const struct greylist *greylist,
    const struct greylist_entry *entry, const char *name)
{
	char network[NETWORK_TEXT];
	struct endpoint address;

	if (endpoint_parse(&address, name, 0) == 0) {
		make_network(greylist, &address, network, sizeof(network));
		return strcmp(entry->network, network) == 0;
	}
	return name[0] != '\0' && (strcasecmp(entry->network, name) == 0 ||
	    strcasecmp(entry->sender, name) == 0 ||
	    strcasecmp(domain_of(entry->sender), name) == 0 ||
	    strcasecmp(entry->recipient, name) == 0);
}

struct forgetting {
	struct greylist	*greylist;
	const char	*name;
	size_t		 count;
};

static void forget_one(void *arg, const void *key, size_t length, void *value)
{
	struct forgetting *forgetting = arg;
	struct greylist_entry entry;
	struct row *row = value;

	(void)key;
	(void)length;
	if (!read_key(row->key, &entry) || !greylist_is_about(
	    forgetting->greylist, &entry, forgetting->name))
		return;
	drop_row(forgetting->greylist, row);
	forgetting->count++;
}

size_t greylist_forget(struct greylist *greylist, const char *name)
{
	struct forgetting forgetting = { .greylist = greylist, .name = name };

	hash_each(greylist->rows, forget_one, &forgetting);
	return forgetting.count;
}

size_t greylist_count(const struct greylist *greylist, bool known)
{
	return greylist->heaps[known ? KNOWN : WAITING].count;
}

/* --- life --- */

struct greylist *greylist_new(struct ledger *ledger)
{
	struct greylist *greylist = mem_alloc(sizeof(*greylist));
	int kind;

	greylist->ledger = ledger;
	greylist->rows = hash_new();
	greylist->networks = hash_new();
	for (kind = 0; kind < KINDS; kind++)
		heap_init(&greylist->heaps[kind]);
	ledger_add(ledger, PREFIX, load, greylist);
	ledger_on_loss(ledger, PREFIX, save);
	return greylist;
}

/* A window that ends before anybody may come again would let nobody in. */
void greylist_configure(struct greylist *greylist, const struct conf *conf)
{
	greylist->delay = conf->greylist_delay * 1000;
	greylist->window = conf->greylist_window * 1000;
	greylist->keep = conf->greylist_keep * 1000;
	if (greylist->window <= greylist->delay)
		greylist->window += greylist->delay;
	greylist->ipv4 = (unsigned)conf->network_ipv4;
	greylist->ipv6 = (unsigned)conf->network_ipv6;
}

void greylist_free(struct greylist *greylist)
{
	struct row *row;
	int kind;

	if (greylist == NULL)
		return;
	timer_stop(&greylist->tick);
	for (kind = 0; kind < KINDS; kind++) {
		while ((row = first_row(greylist, kind)) != NULL)
			forget_row(greylist, row);
		heap_release(&greylist->heaps[kind]);
	}
	hash_free(greylist->rows);
	hash_free(greylist->networks);
	mem_free(greylist);
}
