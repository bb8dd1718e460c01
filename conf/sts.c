/* SPDX-License-Identifier: ISC */
/*
 * The id is the beginning of the SHA-256 of the text in hexadecimal: letters
 * and digits, as RFC 8461 3.1 wants them, and it cannot be forgotten when the
 * text changes.
 */
#include "conf/sts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"

enum { TEXT_MAX = 64 << 10, WORDS_MAX = 6 + CONF_STS_MX_MAX,
    SECONDS_MAX = 31557600 };

/* --- texts --- */

const char *conf_sts_mode_name(enum conf_sts_mode mode)
{
	switch (mode) {
	case STS_PUBLISH_ENFORCE: return "enforce";
	case STS_PUBLISH_TESTING: return "testing";
	default: return "none";
	}
}

static char *make_text(enum conf_sts_mode mode, const struct conf_texts *mx,
    int64_t max_age)
{
	struct buf text;

	/* What check_sts.c lets through fits: 128 names of 255 bytes. */
	buf_init(&text, TEXT_MAX);
	buf_print(&text, "version: STSv1\r\nmode: %s\r\n",
	    conf_sts_mode_name(mode));
	for (size_t i = 0; i < mx->count && i < CONF_STS_MX_MAX; i++)
		buf_print(&text, "mx: %s\r\n", mx->items[i]);
	buf_print(&text, "max_age: %" PRId64 "\r\n", max_age);
	return buf_take(&text);
}

static int64_t age_of(const struct conf_domain *domain,
    enum conf_sts_mode mode)
{
	if (mode == STS_PUBLISH_WITHDRAW &&
	    domain->sts_max_age > CONF_STS_WITHDRAWN_MAX_AGE)
		return CONF_STS_WITHDRAWN_MAX_AGE;
	return domain->sts_max_age;
}

char *conf_sts_text(const struct conf_domain *domain, enum conf_sts_mode mode)
{
	return make_text(mode, &domain->sts_mx, age_of(domain, mode));
}

void conf_sts_id(const char *text, char id[CONF_STS_ID_MAX + 1])
{
	uint8_t digest[DIGEST_BYTES];

	digest_of(text, strlen(text), digest);
	hex_format(digest, CONF_STS_ID_MAX / 2, id, CONF_STS_ID_MAX + 1);
}

char *conf_sts_record(const char *id)
{
	return mem_print("v=STSv1; id=%s;", id);
}

bool conf_sts_is_pattern(const char *text)
{
	char name[ADDRESS_DOMAIN_MAX + 1];

	if (strncmp(text, "*.", 2) == 0)
		text += 2;
	return strchr(text, '.') != NULL && domain_parse(name, sizeof(name),
	    text, strlen(text)) == 0 && strlen(name) == strlen(text);
}

static bool pattern_matches(const char *pattern, const char *host)
{
	const char *parent = strchr(host, '.');

	if (pattern[0] != '*')
		return strcasecmp(pattern, host) == 0;
	return parent != NULL && parent > host &&
	    strcasecmp(pattern + 1, parent) == 0;
}

bool conf_sts_names(const struct conf_domain *domain, const char *host)
{
	for (size_t i = 0; i < domain->sts_mx.count; i++)
		if (pattern_matches(domain->sts_mx.items[i], host))
			return true;
	return false;
}

/* --- approvals --- */

void sts_approvals_init(struct sts_approvals *approvals)
{
	memset(approvals, 0, sizeof(*approvals));
}

static void release_names(struct conf_texts *names)
{
	for (size_t i = 0; i < names->count; i++)
		mem_free(names->items[i]);
	mem_free(names->items);
	memset(names, 0, sizeof(*names));
}

static void release_approval(struct sts_approval *approval)
{
	mem_free(approval->domain);
	release_names(&approval->mx);
}

void sts_approvals_release(struct sts_approvals *approvals)
{
	for (size_t i = 0; i < approvals->count; i++)
		release_approval(&approvals->items[i]);
	mem_free(approvals->items);
	memset(approvals, 0, sizeof(*approvals));
}

static struct sts_approval *find(const struct sts_approvals *approvals,
    const char *domain)
{
	for (size_t i = 0; i < approvals->count; i++)
		if (strcmp(approvals->items[i].domain, domain) == 0)
			return &approvals->items[i];
	return NULL;
}

const struct sts_approval *sts_approvals_find(
    const struct sts_approvals *approvals, const char *domain)
{
	return find(approvals, domain);
}

/* Takes what is in approval, in the place of an older one. */
static void put(struct sts_approvals *approvals,
    const struct sts_approval *approval)
{
	struct sts_approval *place = find(approvals, approval->domain);

	if (place == NULL) {
		approvals->items = mem_resize(approvals->items,
		    approvals->count + 1, sizeof(*approvals->items));
		place = &approvals->items[approvals->count++];
	} else {
		release_approval(place);
	}
	*place = *approval;
}

static void add_name(struct conf_texts *names, const char *name)
{
	names->items = mem_resize(names->items, names->count + 1,
	    sizeof(*names->items));
	names->items[names->count++] = mem_dup_string(name);
}

/* Digits, not more than a time has. */
static bool read_number(const char *word, int64_t *number)
{
	size_t length = strlen(word);

	if (length == 0 || length > 15 ||
	    strspn(word, "0123456789") != length)
		return false;
	*number = strtoll(word, NULL, 10);
	return true;
}

static bool is_right(const struct sts_approval *approval)
{
	char *text = make_text(approval->mode, &approval->mx,
	    approval->max_age);
	char id[CONF_STS_ID_MAX + 1];

	conf_sts_id(text, id);
	mem_free(text);
	return strcmp(id, approval->id) == 0 &&
	    approval->max_age <= SECONDS_MAX &&
	    approval->longest <= SECONDS_MAX;
}

/* False, with nothing in approval, when the line is none. */
static bool read_line(char *line, struct sts_approval *approval)
{
	char *words[WORDS_MAX + 1], *word;
	size_t count = 0;

	memset(approval, 0, sizeof(*approval));
	while ((word = strsep(&line, " ")) != NULL && count <= WORDS_MAX)
		words[count++] = word;
	if (count < 7 || count > WORDS_MAX ||
	    (strcmp(words[1], "enforce") != 0 &&
	    strcmp(words[1], "none") != 0) ||
	    !read_number(words[2], &approval->when) ||
	    !read_number(words[3], &approval->longest) ||
	    strlen(words[4]) > CONF_STS_ID_MAX ||
	    !read_number(words[5], &approval->max_age))
		return false;
	for (size_t i = 6; i < count; i++)
		if (!conf_sts_is_pattern(words[i]))
			return false;
	approval->mode = strcmp(words[1], "none") == 0 ?
	    STS_PUBLISH_WITHDRAW : STS_PUBLISH_ENFORCE;
	snprintf(approval->id, sizeof(approval->id), "%s", words[4]);
	approval->domain = mem_dup_string(words[0]);
	for (size_t i = 6; i < count; i++)
		add_name(&approval->mx, words[i]);
	if (is_right(approval))
		return true;
	release_approval(approval);
	return false;
}

size_t sts_approvals_read(struct sts_approvals *approvals, const char *text)
{
	char *copy = mem_dup_string(text), *rest = copy, *line;
	struct sts_approval approval;
	size_t bad = 0;

	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
		if (line[0] == '\0' || line[0] == '#')
			continue;
		if (read_line(line, &approval))
			put(approvals, &approval);
		else
			bad++;
	}
	mem_free(copy);
	return bad;
}

void sts_approvals_set(struct sts_approvals *approvals,
    const struct conf_domain *domain, int64_t when)
{
	const struct sts_approval *before = find(approvals, domain->name);
	struct sts_approval approval = {
		.domain = mem_dup_string(domain->name),
		.mode = domain->sts,
		.when = when,
		.longest = domain->sts_max_age,
		.max_age = age_of(domain, domain->sts),
	};
	char *text = conf_sts_text(domain, domain->sts);

	if (before != NULL && before->longest > approval.longest)
		approval.longest = before->longest;
	conf_sts_id(text, approval.id);
	mem_free(text);
	for (size_t i = 0; i < domain->sts_mx.count; i++)
		add_name(&approval.mx, domain->sts_mx.items[i]);
	put(approvals, &approval);
}

char *sts_approvals_print(const struct sts_approvals *approvals)
{
	struct buf text;

	buf_init(&text, CONF_STS_APPROVALS_BYTES);
	buf_print(&text, "# MTA-STS policies that `postern sts publish` has "
	    "approved; not to be edited.\n");
	for (size_t i = 0; i < approvals->count; i++) {
		const struct sts_approval *one = &approvals->items[i];

		buf_print(&text, "%s %s %" PRId64 " %" PRId64 " %s %" PRId64,
		    one->domain, conf_sts_mode_name(one->mode), one->when,
		    one->longest, one->id, one->max_age);
		for (size_t k = 0; k < one->mx.count; k++)
			buf_print(&text, " %s", one->mx.items[k]);
		buf_add_byte(&text, '\n');
	}
	return buf_take(&text);
}

/* --- in force --- */

char *conf_sts_in_force(const struct conf_domain *domain,
    const struct sts_approvals *approvals, enum sts_force *how)
{
	const struct sts_approval *approval = find(approvals, domain->name);
	char id[CONF_STS_ID_MAX + 1];
	char *text;

	*how = STS_FORCE_NOTHING;
	if (domain->sts == STS_PUBLISH_NONE)
		return NULL;
	*how = STS_FORCE_ASKED;
	text = conf_sts_text(domain, domain->sts);
	if (domain->sts != STS_PUBLISH_ENFORCE)
		return text;
	conf_sts_id(text, id);
	if (approval != NULL && approval->mode == STS_PUBLISH_ENFORCE &&
	    strcmp(approval->id, id) == 0)
		return text;
	mem_free(text);
	if (approval != NULL && approval->mode == STS_PUBLISH_ENFORCE) {
		*how = STS_FORCE_EARLIER;
		return make_text(approval->mode, &approval->mx,
		    approval->max_age);
	}
	*how = STS_FORCE_TESTING;
	return conf_sts_text(domain, STS_PUBLISH_TESTING);
}
