/* SPDX-License-Identifier: ISC */
/*
 * set-tls: what TLS the selected mail needs from now on, instead of what its
 * destination needs by configuration; "default" takes that back. It is a
 * decision about single messages, so it wants a reason, which is kept with the
 * slice together with who decided and when, and shown. What REQUIRETLS demands
 * is the sender's and stays.
 *
 * Slices become due at once, unless they are held; one that is being tried just
 * now is tried again at once after that, should it have to wait.
 */
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "queue/change.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/schedule.h"
#include "queue/slice.h"
#include "queue/verbs.h"
#include "queue/walk.h"

static const char *level_word(const struct walk *walk)
{
	return walk->level < 0 ? "default" :
	    conf_level_name((enum conf_level)walk->level);
}

/* These compare with names or fingerprints that a message has no place for. */
static bool needs_names(enum conf_level level)
{
	return level == LEVEL_VERIFY || level == LEVEL_SECURE ||
	    level == LEVEL_FINGERPRINT;
}

static const char *read_level(struct walk *walk, const json_t *arguments)
{
	const char *word = json_string_value(json_object_get(arguments,
	    "level"));

	walk->level = -1;
	if (word == NULL)
		return "\"level\": say none, may, encrypt, auto, dane, "
		    "dane-only, sts, strict or default";
	if (walk->note == NULL || walk->note[0] == '\0')
		return "\"note\": say why; it is kept with the message";
	if (strcmp(word, "default") == 0)
		return NULL;
	for (int level = 0; level < LEVEL_COUNT; level++) {
		if (strcmp(word, conf_level_name((enum conf_level)level)) != 0)
			continue;
		if (needs_names((enum conf_level)level))
			return "\"level\": verify, secure and fingerprint need "
			    "names or fingerprints, which only a destination "
			    "in the configuration can have";
		walk->level = level;
		return NULL;
	}
	return "\"level\": no such level; there are none, may, encrypt, auto, "
	    "dane, dane-only, sts, strict and default";
}

static uint32_t count_all(const struct walk *walk, const struct slice *slice)
{
	(void)walk;
	return slice->record->recipient_count;
}

static void set_tls(struct walk *walk, struct slice *slice)
{
	struct record_slice *record = slice->record;

	record->tls_level = walk->level;
	record->tls_reason = arena_dup_string(slice->arena, walk->note);
	record->tls_author = arena_print(slice->arena, "uid %llu",
	    (unsigned long long)walk->uid);
	record->tls_set = clock_wall();
	if (schedule_is_in_flight(walk->queue->schedule, slice->id,
	    slice->number))
		record->flags |= SLICE_AGAIN;
	else if (!slice->was_held)
		slice_retry(slice, record->tls_set);
	slice_save(slice);
}

/* Below what REQUIRETLS demands, and meant to be. */
static bool is_below(int level)
{
	return level == LEVEL_NONE || level == LEVEL_MAY ||
	    level == LEVEL_ENCRYPT;
}

static bool visit(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	static const struct change change = { count_all, set_tls };
	uint32_t flags = message->envelope->flags;

	if (!change_message(walk, id, message, &change))
		return false;
	if (walk->taken == 0)
		return true;
	if (flags & ENVELOPE_REQUIRETLS && is_below(walk->level))
		walk->kept++;
	if (walk->dry_run)
		return true;
	log_info("set-tls", log_message(id), log_text("level",
	    level_word(walk)), log_text("note", walk->note),
	    log_number("uid", (int64_t)walk->uid));
	return true;
}

static void conclude(const struct walk *walk, json_t *answer)
{
	json_object_set_new(answer, "level", json_string(level_word(walk)));
	if (walk->kept == 0)
		return;
	json_object_set_new(answer, "requiretls",
	    json_integer((json_int_t)walk->kept));
	json_object_set_new(answer, "notice", json_string("some of these "
	    "messages are tagged requiretls: that is the sender's demand and "
	    "stays, whatever the level"));
}

void verb_set_tls(struct control *control, const json_t *arguments)
{
	static const char *const own[] = { "note", "level", NULL };
	static const struct walk_verb verb = { .name = "set-tls",
	    .changes = true, .page = CHANGE_PAGE, .visit = visit,
	    .arguments = own,
	    .read = read_level, .conclude = conclude };

	walk_start(verbs_queue(), control, arguments, &verb);
}
