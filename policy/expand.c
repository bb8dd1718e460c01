/* SPDX-License-Identifier: ISC */
/*
 * One lookup says what an address is (find_place), and three walk over it: the
 * expansion, and at load the search for circles and for aliases that are too
 * much. The order is the same everywhere:
 *
 *	alias, then user, of the whole local part
 *	alias, then user, of what stands before the delimiter
 *	postmaster and abuse, which are always there
 *	a domain that takes everybody
 *	catch-all
 *
 * An alias reached from itself is not looked at again: it means the mailbox.
 *
 * Aliases and users of tables are found in the same places. How large they are
 * is not bounded, so what is in them is gone through only for who asks what is
 * odd (`postern check`, `postern table build`); the expansion bears a circle,
 * whoever made it.
 */
#include "policy/expand.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/table.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "conf/problem.h"
#include "policy/aliases.h"
#include "policy/srs.h"
#include "policy/users.h"

enum { ERRORS_MAX = 1 << 20, ERRORS_MANY = 16 << 10, WHAT_MAX = 1200,
    ADVICE_MAX = 20 };

struct expander {
	const struct conf	*conf;		/* outlives us */
	struct users		*users;		/* owned */
	struct aliases		*aliases;	/* owned */
	struct srs		*srs;		/* owned; or null */
	struct hash		*domains;	/* name -> struct conf_domain */
};

/* What an address is. */
enum place_kind {
	PLACE_ELSEWHERE,	/* not a domain of ours */
	PLACE_REWRITTEN,	/* a sender that we rewrote: next */
	PLACE_ALIAS,
	PLACE_MAILBOX,		/* mailbox is its name */
	PLACE_RELAY,		/* a recipient of a relay domain */
	PLACE_POSTMASTER,	/* next */
	PLACE_CATCH_ALL,	/* next */
	PLACE_NOBODY,
	PLACE_DAMAGED		/* a table cannot tell */
};

struct place {
	enum place_kind		 kind;
	struct alias		 alias;		/* of PLACE_ALIAS */
	const char		*next;		/* configured address */
	struct address		 address;	/* of the mailbox, or as it is;
						 * of the sender before */
	/* Of what leads on: 0 for what does not. */
	uint64_t		 node;
	const char		*reason;	/* for people */
};

static void lower(char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

/* --- what an address is --- */

static const struct conf_domain *domain_of(const struct expander *expander,
    const char *name)
{
	return hash_find_text(expander->domains, name);
}

static uint64_t domain_number(const struct expander *expander,
    const struct conf_domain *domain)
{
	return (uint64_t)(domain - expander->conf->domains);
}

/* An alias of all domains is another one in each of them, and so is one of a
 * table that several domains have. The text of a configuration has no room for
 * 2^20 domains. */
static uint64_t alias_node(const struct expander *expander,
    const struct alias *alias, const struct conf_domain *domain)
{
	return (alias->number + 1) << 20 | domain_number(expander, domain);
}

static uint64_t domain_node(const struct expander *expander,
    const struct conf_domain *domain, enum place_kind kind)
{
	return (uint64_t)kind << 58 | domain_number(expander, domain);
}

static bool is_damaged(struct place *place)
{
	place->kind = PLACE_DAMAGED;
	place->reason = "a table is damaged: make it again with `postern "
	    "table build`";
	return true;
}

/* The alias of a name, unless it led here. */
static bool is_alias(const struct expander *expander, const char *local,
    const struct conf_domain *domain, uint64_t from, struct place *place)
{
	enum alias_answer answer = aliases_find(expander->aliases, local,
	    domain->name, &place->alias);
	uint64_t node;

	if (answer == ALIAS_DAMAGED)
		return is_damaged(place);
	if (answer == ALIAS_NONE)
		return false;
	node = alias_node(expander, &place->alias, domain);
	if (node == from)
		return false;
	place->kind = PLACE_ALIAS;
	place->node = node;
	return true;
}

/* The local part is not ours to change where mail is only sent on. */
static void set_user(struct place *place, const struct conf_domain *domain,
    const char *local, const char *reason)
{
	place->kind = domain->relay ? PLACE_RELAY : PLACE_MAILBOX;
	place->reason = reason;
	if (!domain->relay)
		memcpy(place->address.local, local, strlen(local) + 1);
}

static bool is_user(const struct expander *expander, const char *local,
    const struct conf_domain *domain, struct place *place, const char *reason)
{
	switch (users_has(expander->users, local, domain->name)) {
	case USERS_NOBODY: return false;
	case USERS_DAMAGED: return is_damaged(place);
	default: break;
	}
	set_user(place, domain, local, reason);
	return true;
}

/* RFC 5321 4.5.1; RFC 2142 adds abuse for the organisation. Without an alias
 * or user of that name they are the configured postmaster's. */
static bool is_reserved(const struct expander *expander, const char *local,
    const struct conf_domain *domain, uint64_t from, struct place *place)
{
	const char *postmaster = expander->conf->postmaster;
	uint64_t node = domain_node(expander, domain, PLACE_POSTMASTER);
	char whole[ADDRESS_MAX + 1];

	if (strcmp(local, "postmaster") != 0 &&
	    (strcmp(local, "abuse") != 0 || domain->relay))
		return false;
	snprintf(whole, sizeof(whole), "%s@%s", local, domain->name);
	if (domain->relay || postmaster == NULL || node == from ||
	    strchr(postmaster, '@') == NULL ||
	    strcasecmp(postmaster, whole) == 0) {
		set_user(place, domain, local, "always there");
		return true;
	}
	place->kind = PLACE_POSTMASTER;
	place->next = postmaster;
	place->node = node;
	return true;
}

static void find_rest(const struct expander *expander, const char *base,
    const struct conf_domain *domain, uint64_t from, struct place *place)
{
	if (is_reserved(expander, base, domain, from, place))
		return;
	switch (users_is_open(expander->users, domain->name)) {
	case USERS_FOUND:
		set_user(place, domain, base, "the domain takes everybody");
		return;
	case USERS_DAMAGED:
		is_damaged(place);
		return;
	default:
		break;
	}
	place->kind = PLACE_NOBODY;
	place->reason = "nobody of that name";
	if (domain->catch_all == NULL || domain->catch_all[0] == '\0' ||
	    domain_node(expander, domain, PLACE_CATCH_ALL) == from)
		return;
	place->kind = PLACE_CATCH_ALL;
	place->next = domain->catch_all;
	place->node = domain_node(expander, domain, PLACE_CATCH_ALL);
}

/* True for an address in the form of srs-domain: ours, or nobody's. */
static bool is_rewritten(const struct expander *expander,
    const struct address *address, int64_t wall, struct place *place)
{
	enum srs_error error;

	if (expander->srs == NULL || !srs_is_rewritten(address->local) ||
	    strcmp(address->domain, srs_domain(expander->srs)) != 0)
		return false;
	error = srs_reverse(expander->srs, address, wall, &place->address);
	place->kind = error == SRS_OK ? PLACE_REWRITTEN : PLACE_NOBODY;
	place->reason = srs_error_text(error);
	return true;
}

/* Cuts what is the user's own; false if there is nothing. */
static bool cut_detail(const struct expander *expander, char *local)
{
	const char *delimiter = expander->conf->recipient_delimiter;
	char *found = delimiter == NULL || delimiter[0] == '\0' ? NULL :
	    strchr(local, delimiter[0]);

	if (found == NULL || found == local)
		return false;
	*found = '\0';
	return true;
}

/* from: the node that leads here, or 0. */
static void find_place(const struct expander *expander,
    const struct address *address, uint64_t from, int64_t wall,
    struct place *place)
{
	const struct conf_domain *domain = domain_of(expander,
	    address->domain);
	char local[sizeof(address->local)];

	*place = (struct place){ .kind = PLACE_ELSEWHERE,
	    .address = *address, .reason = "not a domain of ours" };
	if (domain == NULL ||
	    is_rewritten(expander, address, wall, place))
		return;
	memcpy(local, address->local, sizeof(local));
	lower(local);
	if (is_alias(expander, local, domain, from, place) ||
	    is_user(expander, local, domain, place, "user"))
		return;
	if (cut_detail(expander, local) &&
	    (is_alias(expander, local, domain, from, place) ||
	    is_user(expander, local, domain, place,
	    "user, with something of its own behind the delimiter")))
		return;
	find_rest(expander, local, domain, from, place);
}

static void target_address(const struct alias_target *target,
    const struct address *named, struct address *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->local, sizeof(out->local), "%s", target->local);
	snprintf(out->domain, sizeof(out->domain), "%s",
	    target->domain != NULL ? target->domain : named->domain);
}

/* --- expansion --- */

struct walk {
	const struct expander		*expander;
	const struct expand_question	*question;
	struct arena			*arena;		/* the caller's */
	struct hash			*seen;		/* owned: targets */
	struct hash			*visited;	/* owned: nodes -> state */
	struct directory_target		*targets;	/* owned */
	size_t				 count, room;
	unsigned			 visits;
	bool				 by_alias;
	bool				 overflow;	/* cannot be answered */
	bool				 circle;	/* was left out */
	bool				 elsewhere;	/* the address itself */
};

static void say(const struct walk *walk, unsigned depth,
    const struct address *address, const char *what)
{
	char text[ADDRESS_MAX + 1];

	if (walk->question->step == NULL)
		return;
	address_format(address, text, sizeof(text));
	walk->question->step(walk->question->arg, depth, text, what);
}

static void add_target(struct walk *walk, const struct address *address,
    bool forwarded)
{
	char text[ADDRESS_MAX + 1];

	address_format(address, text, sizeof(text));
	if (hash_put_text(walk->seen, text, walk) != NULL)
		return;
	if (walk->count == DIRECTORY_TARGETS_MAX) {
		walk->overflow = true;
		return;
	}
	if (walk->count == walk->room) {
		walk->room = walk->room * 2 + 4;
		walk->targets = mem_resize(walk->targets, walk->room,
		    sizeof(*walk->targets));
	}
	walk->targets[walk->count++] = (struct directory_target){
	    .address = arena_dup_string(walk->arena, text),
	    .forwarded = forwarded };
}

static void say_alias(const struct walk *walk, unsigned depth,
    const struct address *address, const struct alias *alias)
{
	char what[WHAT_MAX];

	snprintf(what, sizeof(what), "alias, %.*s:%u%s, of %zu target%s",
	    WHAT_MAX / 2, alias->file, alias->line, alias->in_table ?
	    " as the table has it" : "", alias->target_count,
	    alias->target_count == 1 ? "" : "s");
	say(walk, depth, address, what);
}

static void say_next(const struct walk *walk, unsigned depth,
    const struct address *address, const struct place *place)
{
	char what[WHAT_MAX];

	snprintf(what, sizeof(what), "%s: %.*s", place->kind ==
	    PLACE_CATCH_ALL ? "catch-all of the domain" :
	    "there is none: postmaster", WHAT_MAX / 2, place->next);
	say(walk, depth, address, what);
}

/* States of a node: what is behind it is being looked at, or was. */
static const char state_open = 0, state_done = 0;

static void visit(struct walk *walk, const struct address *address,
    uint64_t from, unsigned depth);

/* What a text says was parsed when it was read. */
static bool is_sound(const struct alias *alias, const struct address *target)
{
	char text[ADDRESS_MAX + 1];
	struct address parsed;

	if (!alias->in_table)
		return true;
	address_format(target, text, sizeof(text));
	return address_parse(&parsed, text) == ADDRESS_OK;
}

static void visit_alias(struct walk *walk, const struct address *address,
    const struct place *place, unsigned depth)
{
	enum alias_answer answer = ALIAS_FOUND;
	struct alias_target next;
	struct address target;
	size_t position = 0;

	while (!walk->overflow && (answer = alias_next_target(&place->alias,
	    &position, &next)) == ALIAS_FOUND) {
		target_address(&next, address, &target);
		if (is_sound(&place->alias, &target)) {
			visit(walk, &target, place->node, depth + 1);
			continue;
		}
		answer = ALIAS_DAMAGED;
		break;
	}
	if (answer == ALIAS_DAMAGED) {
		say(walk, depth, address, "the table is damaged: make it "
		    "again with `postern table build`");
		walk->overflow = true;
	}
}

static bool is_known(struct walk *walk, uint64_t node)
{
	const void *state = hash_find_id(walk->visited, node);

	if (state == &state_open)
		walk->circle = true;
	return state != NULL;
}

/* Goes on, once for each node: circles were refused at load, but for those
 * of which a table or a domain's own names make a part (see check_circles()).
 * Such a one that leads to nobody is no reason to say that nobody is there. */
static void visit_next(struct walk *walk, const struct address *address,
    const struct place *place, unsigned depth)
{
	struct address next;

	if (place->node != 0 && is_known(walk, place->node))
		return;
	if (depth > EXPAND_DEPTH_MAX) {
		say(walk, depth, address, "too many aliases one behind the "
		    "other: not answered");
		walk->overflow = true;
		return;
	}
	if (place->node != 0)
		hash_put_id(walk->visited, place->node,
		    (void *)&state_open);
	if (place->kind == PLACE_ALIAS) {
		walk->by_alias = true;
		visit_alias(walk, address, place, depth);
	} else if (place->kind == PLACE_REWRITTEN) {
		walk->by_alias = true;
		visit(walk, &place->address, 0, depth + 1);
	} else if (address_parse(&next, place->next) == ADDRESS_OK) {
		walk->by_alias = true;
		visit(walk, &next, place->node, depth + 1);
	}
	if (place->node != 0)
		hash_put_id(walk->visited, place->node,
		    (void *)&state_done);
}

static void visit(struct walk *walk, const struct address *address,
    uint64_t from, unsigned depth)
{
	struct place place;

	if (++walk->visits > EXPAND_VISITS_MAX) {
		walk->overflow = true;
		return;
	}
	find_place(walk->expander, address, from, walk->question->wall,
	    &place);
	switch (place.kind) {
	case PLACE_ELSEWHERE:
		say(walk, depth, address, depth == 0 ? place.reason :
		    "sent on, to another domain");
		if (depth == 0)
			walk->elsewhere = true;
		else
			add_target(walk, &place.address, true);
		return;
	case PLACE_MAILBOX:
	case PLACE_RELAY:
		say(walk, depth, &place.address, place.reason);
		add_target(walk, &place.address, false);
		return;
	case PLACE_NOBODY:
		say(walk, depth, address, place.reason);
		return;
	case PLACE_DAMAGED:
		say(walk, depth, address, place.reason);
		walk->overflow = true;
		return;
	case PLACE_ALIAS:
		say_alias(walk, depth, address, &place.alias);
		visit_next(walk, address, &place, depth);
		return;
	case PLACE_REWRITTEN:
		say(walk, depth, address, place.reason);
		visit_next(walk, address, &place, depth);
		return;
	case PLACE_POSTMASTER:
	case PLACE_CATCH_ALL:
		say_next(walk, depth, address, &place);
		visit_next(walk, address, &place, depth);
		return;
	default:
		bug("unknown-place");
	}
}

/* SMTP-182 for the null sender; who is one of ours may send from here as he
 * is. */
static enum srs_error rewrite_sender(const struct expander *expander,
    const char *text, int64_t wall, struct arena *arena, char **out)
{
	struct address sender, rewritten;
	char formatted[ADDRESS_MAX + 1];
	enum srs_error error;

	*out = NULL;
	if (expander->srs == NULL ||
	    address_parse(&sender, text) != ADDRESS_OK ||
	    domain_is_literal(sender.domain) ||
	    domain_of(expander, sender.domain) != NULL)
		return SRS_OK;
	error = srs_forward(expander->srs, &sender, wall, &rewritten);
	if (error != SRS_OK)
		return error;
	address_format(&rewritten, formatted, sizeof(formatted));
	*out = arena_dup_string(arena, formatted);
	return SRS_OK;
}

char *expander_forward_sender(const struct expander *expander,
    const char *sender, int64_t wall, struct arena *arena)
{
	char *rewritten;

	(void)rewrite_sender(expander, sender, wall, arena, &rewritten);
	return rewritten;
}

/* Who says to send it where it leaves us. Null: as it is. */
static const char *forward_sender(const struct walk *walk)
{
	const struct expand_question *question = walk->question;
	struct address sender;
	char *rewritten;
	bool leaves = false;

	for (size_t i = 0; i < walk->count; i++)
		leaves |= walk->targets[i].forwarded;
	if (!leaves)
		return NULL;
	if (rewrite_sender(walk->expander, question->sender, question->wall,
	    walk->arena, &rewritten) != SRS_OK &&
	    address_parse(&sender, question->sender) == ADDRESS_OK)
		say(walk, 0, &sender, "the sender is too long to be "
		    "rewritten: it stays as it is");
	return rewritten;
}

static int parse_question(const struct expander *expander, const char *text,
    struct address *address)
{
	const struct conf *conf = expander->conf;

	if (strcasecmp(text, "postmaster") != 0)
		return address_parse(address, text) == ADDRESS_OK ? 0 : -1;
	if (conf->domain_count == 0)
		return -1;
	memset(address, 0, sizeof(*address));
	memcpy(address->local, "postmaster", sizeof("postmaster"));
	snprintf(address->domain, sizeof(address->domain), "%s",
	    conf->domains[0].name);
	return 0;
}

static void answer(const struct walk *walk, struct expansion *out)
{
	if (walk->elsewhere) {
		out->answer = DIRECTORY_NOT_OURS;
	} else if (walk->overflow) {
		out->answer = DIRECTORY_UNAVAILABLE;
	} else if (walk->count == 0) {
		out->answer = walk->circle ? DIRECTORY_UNAVAILABLE :
		    DIRECTORY_NO_USER;
	} else {
		out->answer = DIRECTORY_FOUND;
		out->found.targets = arena_dup(walk->arena, walk->targets,
		    walk->count * sizeof(*walk->targets));
		out->found.count = walk->count;
		out->found.by_alias = walk->by_alias;
		out->found.forward_sender = forward_sender(walk);
	}
}

void expander_expand(const struct expander *expander,
    const struct expand_question *question, struct arena *arena,
    struct expansion *out)
{
	struct walk walk = { .expander = expander, .question = question,
	    .arena = arena };
	struct address address;

	memset(out, 0, sizeof(*out));
	out->answer = DIRECTORY_NOT_OURS;
	if (parse_question(expander, question->address, &address) == -1)
		return;
	walk.seen = hash_new();
	walk.visited = hash_new();
	visit(&walk, &address, 0, 0);
	answer(&walk, out);
	hash_free(walk.seen);
	hash_free(walk.visited);
	mem_free(walk.targets);
}

/* --- what is wrong at load --- */

struct loader {
	struct expander		*expander;
	const struct bundle	*bundle;
	struct buf		 errors;
	struct buf		 advice;
	unsigned		 advice_count;
	bool			 whole;		/* tables, too */
	struct hash		*found;		/* node -> pack() */
	/* from where the search began to where it is */
	struct address		 chain[EXPAND_DEPTH_MAX + 2];
	struct alias		 chain_alias[EXPAND_DEPTH_MAX + 2];
};

/* What is behind a node: how many stand one behind the other, and how many
 * recipients there are, at most. Kept as a pointer, never null. */
struct extent {
	unsigned	 depth;		/* below 256 */
	unsigned	 count;
};

enum { EXTENT_OPEN = 255, COUNT_MAX = 1 << 20 };

static void *pack(struct extent extent)
{
	if (extent.count > COUNT_MAX)
		extent.count = COUNT_MAX;
	return (void *)(uintptr_t)((extent.count + 1) << 8 | extent.depth);
}

static struct extent unpack(const void *packed)
{
	uintptr_t value = (uintptr_t)packed;

	return (struct extent){ value & 255, (unsigned)(value >> 8) - 1 };
}

static void take_problems(struct buf *out, struct problems *problems)
{
	char *text = problems_take(problems);

	if (text != NULL)
		(void)buf_add_string(out, text);
	mem_free(text);
}

static void complain(struct loader *loader, const char *file, unsigned line,
    const char *text)
{
	struct problems problems;

	problems_init(&problems, file);
	problems_add(&problems, (int)line, "%s", text);
	take_problems(&loader->errors, &problems);
}

/* Told of the alias nearest to the start of the chain. */
static void complain_chain(struct loader *loader, unsigned depth,
    const char *what)
{
	const struct alias *alias = NULL;	/* with a file: it is one */
	char address[ADDRESS_MAX + 1];
	struct buf text;

	buf_init(&text, (EXPAND_DEPTH_MAX + 4) * (ADDRESS_MAX + 8));
	buf_add_string(&text, what);
	for (unsigned i = 0; i <= depth; i++) {
		address_format(&loader->chain[i], address, sizeof(address));
		buf_print(&text, "%s%s", i == 0 ? ": " : " -> ", address);
		if (alias == NULL && loader->chain_alias[i].file != NULL)
			alias = &loader->chain_alias[i];
	}
	if (alias != NULL)
		complain(loader, alias->file, alias->line, buf_string(&text));
	else
		complain(loader, loader->bundle->name, 0, buf_string(&text));
	buf_release(&text);
}

static struct extent search(struct loader *loader,
    const struct address *address, uint64_t from, unsigned depth);

static void add_extent(struct extent *sum, struct extent part)
{
	if (part.depth + 1 > sum->depth)
		sum->depth = part.depth + 1;
	if (sum->count < COUNT_MAX)
		sum->count += part.count;
}

static struct extent search_on(struct loader *loader,
    const struct place *place, const struct address *address, unsigned depth)
{
	struct extent sum = { 0, 0 };
	enum alias_answer answer;
	struct alias_target target;
	struct address next;
	size_t position = 0;

	if (place->kind != PLACE_ALIAS) {
		if (address_parse(&next, place->next) == ADDRESS_OK)
			add_extent(&sum, search(loader, &next, place->node,
			    depth + 1));
		return sum;
	}
	while ((answer = alias_next_target(&place->alias, &position,
	    &target)) == ALIAS_FOUND) {
		target_address(&target, address, &next);
		add_extent(&sum, search(loader, &next, place->node,
		    depth + 1));
	}
	if (answer == ALIAS_DAMAGED)
		complain_chain(loader, depth, "the table is damaged");
	return sum;
}

/* What the sum says may be too much since somebody was counted twice. */
static void check_count(struct loader *loader, const struct alias *alias,
    const struct address *address)
{
	struct arena *arena = arena_new(EXPAND_ARENA_MAX);
	char text[ADDRESS_MAX + 1], what[256];
	struct expand_question question = { text, "", 0, NULL, NULL };
	struct expansion expansion;

	address_format(address, text, sizeof(text));
	expander_expand(loader->expander, &question, arena, &expansion);
	if (expansion.answer == DIRECTORY_UNAVAILABLE) {
		snprintf(what, sizeof(what), "%.80s leads to more than %d "
		    "recipients, with the aliases that it names",
		    alias->local, DIRECTORY_TARGETS_MAX);
		complain(loader, alias->file, alias->line, what);
	}
	arena_free(arena);
}

/* A target that is not there gets no mail: odd, but who removes a user shall
 * not thereby keep the server from starting. */
static void note_nobody(struct loader *loader, unsigned depth)
{
	const struct alias *alias = depth == 0 ||
	    loader->chain_alias[depth - 1].file == NULL ? NULL :
	    &loader->chain_alias[depth - 1];
	char text[ADDRESS_MAX + 1];
	struct problems problems;

	if (alias == NULL || loader->advice_count++ >= ADVICE_MAX)
		return;
	address_format(&loader->chain[depth], text, sizeof(text));
	problems_init(&problems, alias->file);
	problems_add(&problems, (int)alias->line, "%.80s leads to %.300s, but "
	    "there is nobody of that name", alias->local, text);
	take_problems(&loader->advice, &problems);
}

static struct extent search_node(struct loader *loader,
    const struct place *place, const struct address *address, unsigned depth)
{
	const struct extent open = { EXTENT_OPEN, 0 };
	struct extent extent;

	if (depth > EXPAND_DEPTH_MAX) {
		complain_chain(loader, depth, "too many aliases one behind "
		    "the other");
		return (struct extent){ 0, 0 };
	}
	hash_put_id(loader->found, place->node, pack(open));
	extent = search_on(loader, place, address, depth);
	hash_put_id(loader->found, place->node, pack(extent));
	if (extent.count > DIRECTORY_TARGETS_MAX &&
	    place->kind == PLACE_ALIAS && buf_length(&loader->errors) == 0)
		check_count(loader, &place->alias, address);
	return extent;
}

/* Depth first; every node once. */
static struct extent search(struct loader *loader,
    const struct address *address, uint64_t from, unsigned depth)
{
	struct extent extent = { 0, 1 };
	struct place place;
	void *found;

	find_place(loader->expander, address, from, 0, &place);
	loader->chain[depth] = *address;
	loader->chain_alias[depth] = place.kind == PLACE_ALIAS ? place.alias :
	    (struct alias){ .file = NULL };
	if (place.kind == PLACE_NOBODY)
		note_nobody(loader, depth);
	if (place.kind == PLACE_DAMAGED)
		complain_chain(loader, depth, place.reason);
	if (place.node == 0 || (!loader->whole && place.kind == PLACE_ALIAS &&
	    place.alias.in_table))
		return extent;
	found = hash_find_id(loader->found, place.node);
	if (found == NULL)
		return search_node(loader, &place, address, depth);
	extent = unpack(found);
	if (extent.depth == EXTENT_OPEN)
		complain_chain(loader, depth, "the alias leads in a circle");
	else if (depth + extent.depth > EXPAND_DEPTH_MAX + 1)
		complain_chain(loader, depth, "too many aliases one behind "
		    "the other");
	else
		return extent;
	return (struct extent){ 0, 0 };
}

static void search_alias(struct loader *loader, const struct alias *alias)
{
	const struct conf *conf = loader->expander->conf;
	struct address address;

	target_address(&(struct alias_target){ alias->local,
	    alias->domain != NULL ? alias->domain : conf->domains[0].name },
	    NULL, &address);
	search(loader, &address, 0, 0);
}

/*
 * Begins at each domain's own aliases and catch-all, and at those of all
 * domains in the first one: every circle passes one of these, or is the same
 * in all domains. (A chain that is too long only where a domain has its own
 * names in the middle of it is found when it is used, and answered for now; so
 * is a circle through a table, unless tables are gone through, too.)
 */
static void check_circles(struct loader *loader)
{
	const struct expander *expander = loader->expander;
	const struct conf *conf = expander->conf;
	struct aliases_position position = { 0 };
	struct address address;
	struct alias alias;

	loader->found = hash_new();
	while (aliases_next(expander->aliases, &position, loader->whole,
	    &alias) == ALIAS_FOUND && buf_length(&loader->errors) < ERRORS_MANY)
		search_alias(loader, &alias);
	if (parse_question(expander, "postmaster", &address) == 0)
		search(loader, &address, 0, 0);
	for (size_t i = 0; i < conf->domain_count; i++)
		if (conf->domains[i].catch_all != NULL &&
		    address_parse(&address, conf->domains[i].catch_all) ==
		    ADDRESS_OK)
			search(loader, &address, domain_node(expander,
			    &conf->domains[i], PLACE_CATCH_ALL), 0);
	hash_free(loader->found);
}

/* A name in a domain that is not ours is never asked for. */
static void check_domains(struct loader *loader)
{
	const struct expander *expander = loader->expander;
	struct aliases_position position = { 0 };
	enum alias_answer answer;
	struct alias alias;
	char what[512];

	while ((answer = aliases_next(expander->aliases, &position,
	    loader->whole, &alias)) == ALIAS_FOUND &&
	    buf_length(&loader->errors) < ERRORS_MANY) {
		if (alias.domain == NULL ||
		    domain_of(expander, alias.domain) != NULL)
			continue;
		snprintf(what, sizeof(what), "%.80s@%.255s: that is no domain "
		    "of ours; give it a section domain %.80s { ... }, or "
		    "remove the alias", alias.local, alias.domain,
		    alias.domain);
		complain(loader, alias.file, alias.line, what);
	}
	if (answer == ALIAS_DAMAGED)
		complain(loader, alias.file, alias.line, "the table of it is "
		    "damaged: make it again with `postern table build`");
}

/* --- reading --- */

/* Null, with a word, if it was named and did not come along. */
static const struct bundle_file *find_file(struct loader *loader,
    const char *path)
{
	const struct bundle_file *file;

	if (path == NULL || path[0] == '\0')
		return NULL;
	file = bundle_file(loader->bundle, path);
	if (file == NULL || (file->is_table && file->table == NULL)) {
		complain(loader, path, 0, "it was not read");
		return NULL;
	}
	return file;
}

static void read_users(struct loader *loader, const struct conf_domain *domain)
{
	const struct bundle_file *file = find_file(loader, domain->users_file);
	struct users *users = loader->expander->users;
	struct problems problems;
	char what[300];

	for (size_t i = 0; i < domain->users.count; i++)
		if (users_add(users, domain->name,
		    domain->users.items[i]) == -1) {
			snprintf(what, sizeof(what), "\"%.200s\" is not the "
			    "local part of an address",
			    domain->users.items[i]);
			complain(loader, domain->name, 0, what);
		}
	if (file == NULL)
		return;
	if (file->is_table) {
		users_add_table(users, domain->name, file->table);
		return;
	}
	problems_init(&problems, file->path);
	users_read(users, domain->name, file->contents, file->length,
	    &problems);
	take_problems(&loader->errors, &problems);
}

static void read_aliases(struct loader *loader, const char *path,
    const char *domain)
{
	const struct bundle_file *file = find_file(loader, path);
	struct problems problems;

	if (file == NULL)
		return;
	if (file->is_table) {
		aliases_add_table(loader->expander->aliases, file->table,
		    domain);
		return;
	}
	problems_init(&problems, file->path);
	aliases_read(loader->expander->aliases, file->contents, file->length,
	    domain, &problems);
	take_problems(&loader->errors, &problems);
}

static void read_secrets(struct loader *loader)
{
	const struct conf *conf = loader->expander->conf;
	const struct bundle_file *file;
	char error[200];

	if (conf->srs_domain == NULL || conf->srs_domain[0] == '\0')
		return;
	file = find_file(loader, conf->srs_secret_file);
	if (file == NULL)
		return;
	loader->expander->srs = srs_new(conf->srs_domain, file->contents,
	    file->length, error, sizeof(error));
	if (loader->expander->srs == NULL)
		complain(loader, file->path, 0, error);
}

static void load(struct loader *loader)
{
	struct expander *expander = loader->expander;
	const struct conf *conf = expander->conf;

	for (size_t i = 0; i < conf->domain_count; i++) {
		const struct conf_domain *domain = &conf->domains[i];

		hash_put_text(expander->domains, domain->name,
		    (void *)domain);
		read_users(loader, domain);
		read_aliases(loader, domain->aliases_file, domain->name);
	}
	read_aliases(loader, conf->aliases_file, NULL);
	read_secrets(loader);
	if (conf->domain_count == 0)
		return;
	check_domains(loader);
	if (buf_length(&loader->errors) == 0)
		check_circles(loader);
}

static char *take_text(struct buf *buf)
{
	char *text = buf_length(buf) == 0 ? NULL :
	    mem_dup_string(buf_string(buf));

	buf_release(buf);
	return text;
}

struct expander *expander_new(const struct conf *conf,
    const struct bundle *bundle, char **errors, char **advice)
{
	struct expander *expander = mem_alloc(sizeof(*expander));
	struct loader loader = { .expander = expander, .bundle = bundle,
	    .whole = advice != NULL };
	char *odd;

	buf_init(&loader.errors, ERRORS_MAX);
	buf_init(&loader.advice, ERRORS_MAX);
	expander->conf = conf;
	expander->users = users_new();
	expander->aliases = aliases_new();
	expander->domains = hash_new();
	load(&loader);
	*errors = take_text(&loader.errors);
	odd = take_text(&loader.advice);
	if (advice != NULL)
		*advice = odd;
	else
		mem_free(odd);
	if (*errors == NULL)
		return expander;
	expander_free(expander);
	return NULL;
}

void expander_free(struct expander *expander)
{
	if (expander == NULL)
		return;
	users_free(expander->users);
	aliases_free(expander->aliases);
	srs_free(expander->srs);
	hash_free(expander->domains);
	mem_free(expander);
}
