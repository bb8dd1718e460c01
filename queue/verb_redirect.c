/* SPDX-License-Identifier: ISC */
/*
 * redirect: the selected recipients of a message give way to another address,
 * or to those that it stands for here (aliases hold, queue/readers.h). However
 * many they are, each new one gets the message once, and once only if it is
 * there already. The new ones are due at once, unless all that they replace are
 * held; what was tried for others does not count. Reports name who the mail was
 * for first (RFC 3461 5.2.1), as when an alias leads on; and mail for us that
 * leaves says the sender that it would say then (SRS).
 *
 * Who goes is chosen once, then the new ones come, all in one batch, and in it
 * or in later ones the old ones go, a bounded step at a time: no batch leaves a
 * message without a recipient. What was begun is ended, also when the caller
 * has gone; a crash between leaves some of the old ones beside the new ones.
 */
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/utf8.h"
#include "base/xtext.h"
#include "conf/conf.h"
#include "queue/change.h"
#include "queue/envelope.h"
#include "queue/history.h"
#include "queue/queue.h"
#include "queue/readers.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/slice.h"
#include "queue/verbs.h"
#include "queue/walk.h"

enum { TARGETS_MAX = 100 };

struct target {
	char		*address;	/* owned */
	const char	*domain;	/* in it */
	bool		 forwarded;	/* an alias leads out of our domains */
	bool		 ours;		/* its domain */
	bool		 present;	/* in the message: it need not come */
};

/* What the recipients that go hand on to the new ones. */
struct heritage {
	struct arena		*arena;		/* owned: the texts below */
	uint32_t		 leaving;
	struct record_slice	 slice;		/* of the first, as it was */
	char			*original;	/* ORCPT of the first, or null */
	bool			 onward;	/* it was for us, or forwarded */
	bool			 all_held;
	/* what they want to be told of */
	bool			 any_default, any_wish;
	unsigned		 wishes;
};

struct chosen {
	uint32_t	 slice, index;	/* of the recipient: record.h */
};

struct redirect {
	struct target	 targets[TARGETS_MAX];
	size_t		 count;
	bool		 too_many;
	bool		 unspeakable;	/* one would need SMTPUTF8 */
	const struct conf *conf;	/* while they are read */

	/* the message at hand */
	uint64_t	 id;		/* 0: none */
	struct heritage	 heritage;
	struct chosen	*chosen;	/* owned; who goes, in key order */
	size_t		 chosen_count, chosen_room;
	size_t		 next;		/* of them */
	bool		 added;		/* the new ones are there */
};

/* --- who gets it --- */

static struct target *find_target(struct redirect *redirect,
    const char *address)
{
	for (size_t i = 0; i < redirect->count; i++)
		if (strcasecmp(redirect->targets[i].address, address) == 0)
			return &redirect->targets[i];
	return NULL;
}

static void add_target(void *arg, const char *address, bool forwarded)
{
	struct redirect *redirect = arg;
	struct target *target;

	if (find_target(redirect, address) != NULL)
		return;
	if (redirect->count == TARGETS_MAX) {
		redirect->too_many = true;
		return;
	}
	if (!utf8_is_ascii(address))
		redirect->unspeakable = true;
	target = &redirect->targets[redirect->count++];
	target->address = mem_dup_string(address);
	target->domain = strrchr(target->address, '@') + 1;
	target->forwarded = forwarded;
	target->ours = conf_domain_find(redirect->conf,
	    target->domain) != NULL;
}

static const char *read_target(struct walk *walk, const json_t *arguments)
{
	const char *text = json_string_value(json_object_get(arguments,
	    "to"));
	struct redirect *redirect = mem_alloc(sizeof(*redirect));
	char canonical[ADDRESS_MAX + 1];
	struct address address;
	enum address_error error;

	walk->own = redirect;
	redirect->conf = walk->queue->conf;
	error = text == NULL ? ADDRESS_SYNTAX : address_parse(&address, text);
	if (error != ADDRESS_OK)
		return address_error_text(error);
	if (address.local[0] == '\0' || address.domain[0] == '\0')
		return "the new recipient needs a name and a domain";
	address_format(&address, canonical, sizeof(canonical));
	if (!readers_each(canonical, add_target, redirect) ||
	    redirect->count == 0)
		return "nobody in our domains has that address";
	if (redirect->too_many)
		return "that address stands for more than 100 others";
	if (redirect->unspeakable)
		return "that name is not ASCII: this mail could go only to "
		    "hosts that know SMTPUTF8";
	return NULL;
}

/* --- one message --- */

/* A recipient who is a target stays where he is. */
static bool gives_way(struct walk *walk, const struct record_slice *slice,
    const struct record_recipient *recipient)
{
	return find_target(walk->own, recipient->who.address) == NULL &&
	    selector_takes_recipient(&walk->selector, walk->queue, slice,
	    recipient);
}

/* Of one message; what was chosen then stays chosen, whatever has become of
 * hosts and clocks when its turn comes. */
static void choose(struct redirect *redirect, uint32_t slice, uint32_t index)
{
	if (redirect->chosen_count == redirect->chosen_room) {
		redirect->chosen_room = redirect->chosen_room * 2 + 64;
		redirect->chosen = mem_resize(redirect->chosen,
		    redirect->chosen_room, sizeof(*redirect->chosen));
	}
	redirect->chosen[redirect->chosen_count++] = (struct chosen){ slice,
	    index };
}

static bool may_be_chosen(struct walk *walk, uint64_t id, uint32_t number,
    const struct record_slice *slice)
{
	int64_t next;

	return selector_takes_slice(&walk->selector, slice_state_of(
	    walk->queue, id, number, slice, &next), slice);
}

/* The address that the sender wrote, or had written on the way. */
static char *original_of(struct arena *arena,
    const struct envelope_recipient *who)
{
	char text[XTEXT_ORIGINAL_MAX + 1];

	if (who->original != NULL)
		return arena_dup_string(arena, who->original);
	return xtext_write_original(text, sizeof(text), who->address) < 0 ?
	    NULL : arena_dup_string(arena, text);
}

static void begin_heritage(struct heritage *heritage,
    const struct record_slice *slice, const struct envelope_recipient *who)
{
	struct arena *arena = heritage->arena;
	struct record_slice *copy = &heritage->slice;

	*copy = *slice;
	copy->domain = arena_dup_string(arena, slice->domain);
	copy->held_reason = arena_dup_string(arena, slice->held_reason);
	copy->tls_reason = arena_dup_string(arena, slice->tls_reason);
	copy->tls_author = arena_dup_string(arena, slice->tls_author);
	copy->recipients = NULL;
	heritage->original = original_of(arena, who);
	heritage->all_held = true;
}

static void inherit(struct heritage *heritage,
    const struct record_slice *slice, const struct envelope_recipient *who)
{
	if (heritage->leaving++ == 0)
		begin_heritage(heritage, slice, who);
	if (!(slice->flags & SLICE_HELD))
		heritage->all_held = false;
	if (who->notify == 0)
		heritage->any_default = true;
	else if (!(who->notify & NOTIFY_NEVER))
		heritage->any_wish = true;
	heritage->wishes |= who->notify & ~(unsigned)NOTIFY_NEVER;
}

/* Never if nobody wanted to hear; failures and delays are what those want who
 * said nothing (RFC 3461 4.1). */
static unsigned notify_of(const struct heritage *heritage)
{
	if (!heritage->any_wish)
		return heritage->any_default ? 0 : NOTIFY_NEVER;
	return heritage->wishes | (heritage->any_default ? NOTIFY_FAILURE |
	    NOTIFY_DELAY : 0);
}

static void look_at_slice(struct walk *walk, uint32_t number,
    const struct record_slice *slice, bool chosen)
{
	struct redirect *redirect = walk->own;
	struct heritage *heritage = &redirect->heritage;

	for (uint32_t i = 0; i < slice->recipient_count; i++) {
		const struct record_recipient *recipient =
		    &slice->recipients[i];
		struct target *target = find_target(redirect,
		    recipient->who.address);

		if (target != NULL) {
			target->present = true;
		} else if (chosen && gives_way(walk, slice, recipient)) {
			inherit(heritage, slice, &recipient->who);
			heritage->onward |= slice->flags & SLICE_FORWARDED ||
			    conf_domain_find(walk->queue->conf,
			    slice->domain) != NULL;
			choose(redirect, number, recipient->index);
		}
	}
}

/* Who goes, who is there already, and what is handed on. False: there is more
 * to be seen. */
static bool look(struct walk *walk, uint64_t id)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *slice;
	uint32_t number = walk->next_slice;
	bool more;

	while ((more = rows_next_slice(walk->queue->store, id, &number, arena,
	    &slice))) {
		if (slice != NULL)
			look_at_slice(walk, number, slice, may_be_chosen(walk,
			    id, number, slice));
		arena_reset(arena);
		if (++number == 0)
			more = false;
		if (!more || walk_is_due(walk))
			break;
	}
	walk->next_slice = number;
	arena_free(arena);
	return !more;
}

/* What an operator has set about TLS holds for the domain it was set for. */
static void keep_level(struct slice *slice, const struct record_slice *old)
{
	struct record_slice *record = slice->record;

	record->tls_level = -1;
	record->tls_reason = arena_dup_string(slice->arena, "");
	record->tls_author = record->tls_reason;
	if (strcmp(record->domain, old->domain) != 0)
		return;
	record->tls_level = old->tls_level;
	record->tls_reason = old->tls_reason;
	record->tls_author = old->tls_author;
	record->tls_set = old->tls_set;
}

/* Out of our domains, where we do not only hand on what was for others. */
static bool leads_on(const struct target *target,
    const struct heritage *heritage)
{
	return target->forwarded || (heritage->onward && !target->ours);
}

static void add_slice(struct walk *walk, uint64_t id, uint32_t number,
    const struct target *target, const struct heritage *heritage)
{
	const struct record_slice *old = &heritage->slice;
	uint32_t kept = SLICE_BOUNCE | SLICE_REQUIRETLS | SLICE_TLS_OPTIONAL;
	bool forwarded = leads_on(target, heritage);
	struct record_recipient *recipient;
	struct record_slice *record;
	struct slice slice;

	slice_begin(&slice, walk->queue, id, number);
	record = slice.record;
	if (heritage->all_held)
		kept |= SLICE_HELD | SLICE_DAMAGED | SLICE_FILTERED |
		    SLICE_RULED;
	record->flags = (old->flags & kept) |
	    (forwarded ? SLICE_FORWARDED : 0);
	record->domain = arena_dup_string(slice.arena, target->domain);
	record->held_reason = heritage->all_held ? old->held_reason :
	    arena_dup_string(slice.arena, "");
	record->arrival = old->arrival;
	record->due = clock_wall();
	keep_level(&slice, old);
	recipient = arena_alloc(slice.arena, sizeof(*recipient));
	recipient->who = (struct envelope_recipient){
	    .address = arena_dup_string(slice.arena, target->address),
	    .domain = record->domain, .original = heritage->original,
	    .notify = (uint8_t)notify_of(heritage),
	    .flags = forwarded ? RECIPIENT_FORWARDED : 0 };
	record->recipients = recipient;
	record->recipient_count = 1;
	slice_save(&slice);
}

/* Who is said to send it, if nobody was asked before: as for aliases. */
static void set_forward_sender(struct envelope *envelope,
    const struct redirect *redirect)
{
	const struct heritage *heritage = &redirect->heritage;
	bool leaves = false;

	for (size_t i = 0; i < redirect->count; i++)
		leaves |= !redirect->targets[i].present &&
		    leads_on(&redirect->targets[i], heritage);
	if (leaves && envelope->forward_sender == NULL)
		envelope->forward_sender = readers_forward_sender(
		    envelope->sender, heritage->arena);
}

/* Numbers of slices never come twice: the row says how many there were. */
static void add_targets(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	struct redirect *redirect = walk->own;
	struct record_message changed = *message;
	struct envelope envelope = *message->envelope;

	set_forward_sender(&envelope, redirect);
	changed.envelope = &envelope;
	for (size_t i = 0; i < redirect->count; i++)
		if (!redirect->targets[i].present)
			add_slice(walk, id, changed.slice_count++,
			    &redirect->targets[i], &redirect->heritage);
	if (changed.slice_count != message->slice_count)
		rows_put_message(walk->queue->store, id, &changed);
}

static bool is_chosen(const struct redirect *redirect, size_t from, size_t to,
    uint32_t index)
{
	for (size_t i = from; i < to; i++)
		if (redirect->chosen[i].index == index)
			return true;
	return false;
}

/* Those of chosen[from, to), which are of this slice, as far as they are still
 * there. Returns how many went. */
static uint32_t drop_chosen(struct walk *walk, struct slice *slice,
    size_t from, size_t to)
{
	struct redirect *redirect = walk->own;
	struct status status;
	uint32_t dropped = 0;

	status_print(&status, STATUS_RELAYED, REASON_OPERATOR, "2.0.0",
	    "redirected to %s by uid %llu", redirect->targets[0].address,
	    (unsigned long long)walk->uid);
	for (uint32_t i = slice->record->recipient_count; i-- > 0;) {
		struct record_recipient *recipient =
		    &slice->record->recipients[i];

		if (!is_chosen(redirect, from, to, recipient->index) ||
		    find_target(redirect, recipient->who.address) != NULL)
			continue;
		log_info("redirected", log_message(slice->id),
		    log_text("r", recipient->who.address),
		    log_text("to", redirect->targets[0].address),
		    log_number("others", (int64_t)redirect->count - 1));
		history_note(slice, recipient, HISTORY_REDIRECTED, &status);
		slice_drop(slice, i);
		dropped++;
	}
	slice_save(slice);
	return dropped;
}

/* The next slice from which somebody goes. */
static void drop_next(struct walk *walk, uint64_t id)
{
	struct redirect *redirect = walk->own;
	size_t from = redirect->next, to = from;
	uint32_t number = redirect->chosen[from].slice;
	struct slice slice;

	while (to < redirect->chosen_count &&
	    redirect->chosen[to].slice == number)
		to++;
	redirect->next = to;
	if (slice_load(&slice, walk->queue, id, number) == 0)
		walk->taken += drop_chosen(walk, &slice, from, to);
}

/* Whether one who was chosen is there still: looking at a message of very many
 * slices takes a while, and they may be delivered meanwhile. */
static bool is_anybody_left(struct walk *walk, uint64_t id)
{
	struct redirect *redirect = walk->own;
	struct slice slice;
	bool found = false;

	for (size_t i = 0; i < redirect->chosen_count && !found; i++) {
		if (slice_load(&slice, walk->queue, id,
		    redirect->chosen[i].slice) < 0)
			continue;
		for (uint32_t j = 0; j < slice.record->recipient_count; j++)
			found |= slice.record->recipients[j].index ==
			    redirect->chosen[i].index;
		slice_release(&slice);
	}
	return found;
}

static void begin_message(struct redirect *redirect, uint64_t id)
{
	redirect->id = id;
	redirect->heritage = (struct heritage){
	    .arena = arena_new(RECORD_ARENA_MAX) };
	redirect->chosen_count = redirect->next = 0;
	redirect->added = false;
	for (size_t i = 0; i < redirect->count; i++)
		redirect->targets[i].present = false;
}

/* What was begun is ended. */
static void end_message(struct walk *walk)
{
	struct redirect *redirect = walk->own;

	while (redirect->added && redirect->next < redirect->chosen_count)
		drop_next(walk, redirect->id);
	arena_free(redirect->heritage.arena);
	redirect->heritage.arena = NULL;
	redirect->id = 0;
}

/* False: there are more. */
static bool drop_old(struct walk *walk, uint64_t id)
{
	struct redirect *redirect = walk->own;

	while (redirect->next < redirect->chosen_count) {
		drop_next(walk, id);
		if (walk_is_due(walk))
			break;
	}
	return redirect->next == redirect->chosen_count;
}

static bool visit(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	struct redirect *redirect = walk->own;

	if (redirect->id != id) {
		end_message(walk);
		begin_message(redirect, id);
	}
	if (!redirect->added && !look(walk, id))
		return false;
	if (walk->dry_run) {
		walk->taken = redirect->heritage.leaving;
	} else if (redirect->added || is_anybody_left(walk, id)) {
		if (!redirect->added)
			add_targets(walk, id, message);
		redirect->added = true;
		if (!drop_old(walk, id))
			return false;
	}
	change_done(walk, id, message, walk->taken);
	end_message(walk);
	return true;
}

static void release(struct walk *walk)
{
	struct redirect *redirect = walk->own;

	end_message(walk);
	for (size_t i = 0; i < redirect->count; i++)
		mem_free(redirect->targets[i].address);
	mem_free(redirect->chosen);
	mem_free(redirect);
}

static void conclude(const struct walk *walk, json_t *answer)
{
	const struct redirect *redirect = walk->own;
	json_t *to = json_array();

	for (size_t i = 0; i < redirect->count; i++)
		json_array_append_new(to,
		    json_string(redirect->targets[i].address));
	json_object_set_new(answer, "to", to);
}

void verb_redirect(struct control *control, const json_t *arguments)
{
	static const char *const own[] = { "to", NULL };
	static const struct walk_verb verb = { .name = "redirect",
	    .changes = true, .whole = true, .page = CHANGE_PAGE,
	    .visit = visit, .arguments = own, .read = read_target, .conclude = conclude,
	    .release = release };

	walk_start(verbs_queue(), control, arguments, &verb);
}
