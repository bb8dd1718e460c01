/* SPDX-License-Identifier: ISC */
/*
 * The grammar of RFC 7208 12. Terms are read one at a time from the text, so
 * that a record of thousands of them costs no memory.
 */
#include "authentic/spf_record.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "authentic/spf_macro.h"
#include "base/arena.h"

static const char version[] = "v=spf1";
enum { VERSION_LENGTH = sizeof(version) - 1 };

/* What may stand behind a mechanism's name. */
enum argument { ARGUMENT_NONE, ARGUMENT_DOMAIN, ARGUMENT_MAY_DOMAIN,
    ARGUMENT_DOMAIN_CIDR, ARGUMENT_IP4, ARGUMENT_IP6 };

static const struct mechanism {
	const char		*name;
	enum spf_term_type	 type;
	enum argument		 argument;
} mechanisms[] = {
	{ "all", SPF_ALL, ARGUMENT_NONE },
	{ "include", SPF_INCLUDE, ARGUMENT_DOMAIN },
	{ "a", SPF_A, ARGUMENT_DOMAIN_CIDR },
	{ "mx", SPF_MX, ARGUMENT_DOMAIN_CIDR },
	{ "ptr", SPF_PTR, ARGUMENT_MAY_DOMAIN },
	{ "ip4", SPF_IP4, ARGUMENT_IP4 },
	{ "ip6", SPF_IP6, ARGUMENT_IP6 },
	{ "exists", SPF_EXISTS, ARGUMENT_DOMAIN },
};
enum { MECHANISMS = sizeof(mechanisms) / sizeof(mechanisms[0]) };

static bool is_letter(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_word(const char *text, size_t length, const char *word)
{
	return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

bool spf_record_is_one(const char *text, size_t length)
{
	return length >= VERSION_LENGTH &&
	    strncasecmp(text, version, VERSION_LENGTH) == 0 &&
	    (length == VERSION_LENGTH || text[VERSION_LENGTH] == ' ');
}

/* --- prefix lengths --- */

/* Takes "/24" (slashes of them) from the end of what is left: true if it was
 * there, with the number; one that is no number is not there. */
static bool take_prefix(const char *text, size_t *length, size_t slashes,
    unsigned *bits)
{
	size_t start = *length, i;
	unsigned value = 0;

	while (start > 0 && is_digit(text[start - 1]))
		start--;
	if (start == *length || *length - start > 3 || start < slashes ||
	    (text[start] == '0' && *length - start > 1))
		return false;
	for (i = 1; i <= slashes; i++)
		if (text[start - i] != '/')
			return false;
	for (i = start; i < *length; i++)
		value = value * 10 + (unsigned)(text[i] - '0');
	*bits = value;
	*length = start - slashes;
	return true;
}

/* [ "/" ip4 ] [ "//" ip6 ] */
static const char *take_dual_prefix(const char *text, size_t *length,
    struct spf_term *term)
{
	take_prefix(text, length, 2, &term->bits6);
	take_prefix(text, length, 1, &term->bits4);
	if (term->bits4 > 32 || term->bits6 > 128)
		return "the prefix length is too large";
	return NULL;
}

/* --- arguments --- */

static const char *set_domain(struct spf_term *term, const char *text,
    size_t length)
{
	if (length > SPF_DOMAIN_MAX)
		return "the domain is too long";
	if (!spf_macro_is_domain(text, length))
		return "the domain is none";
	term->domain = text;
	term->domain_length = length;
	return NULL;
}

/* text begins with what stands behind the name. */
static const char *read_domain(const char *text, size_t length, bool required,
    struct spf_term *term)
{
	if (length == 0)
		return required ? "the domain is missing" : NULL;
	if (text[0] != ':')
		return "what stands behind its name is no domain";
	return set_domain(term, text + 1, length - 1);
}

static const char *read_address(const char *text, size_t length,
    struct spf_term *term)
{
	bool ip6 = term->type == SPF_IP6;
	unsigned *bits = ip6 ? &term->bits6 : &term->bits4;
	char address[INET6_ADDRSTRLEN];

	if (length == 0 || text[0] != ':')
		return "the address is missing";
	text++;
	length--;
	take_prefix(text, &length, 1, bits);
	if (*bits > (ip6 ? 128 : 32))
		return "the prefix length is too large";
	if (length >= sizeof(address) || memchr(text, '\0', length) != NULL)
		return "the address is none";
	memcpy(address, text, length);
	address[length] = '\0';
	return inet_pton(ip6 ? AF_INET6 : AF_INET, address, term->address) ==
	    1 ? NULL : "the address is none";
}

static const char *read_argument(enum argument argument, const char *text,
    size_t length, struct spf_term *term)
{
	const char *problem;

	switch (argument) {
	case ARGUMENT_NONE:
		return length == 0 ? NULL : "nothing may stand behind its name";
	case ARGUMENT_DOMAIN_CIDR:
		problem = take_dual_prefix(text, &length, term);
		return problem != NULL ? problem :
		    read_domain(text, length, false, term);
	case ARGUMENT_IP4:
	case ARGUMENT_IP6:
		return read_address(text, length, term);
	default:
		return read_domain(text, length, argument == ARGUMENT_DOMAIN,
		    term);
	}
}

/* --- terms --- */

static enum proof qualifier(char byte)
{
	switch (byte) {
	case '+': return PROOF_PASS;
	case '-': return PROOF_FAIL;
	case '~': return PROOF_SOFTFAIL;
	case '?': return PROOF_NEUTRAL;
	default: return PROOF_NONE;
	}
}

static const char *read_mechanism(struct spf_term *term)
{
	const char *text = term->text;
	size_t length = term->length, name = 0, i;

	term->proof = qualifier(text[0]);
	if (term->proof == PROOF_NONE) {
		term->proof = PROOF_PASS;
	} else {
		text++;
		length--;
	}
	while (name < length && (is_letter(text[name]) || is_digit(text[name])))
		name++;
	for (i = 0; i < MECHANISMS; i++) {
		if (!is_word(text, name, mechanisms[i].name))
			continue;
		term->type = mechanisms[i].type;
		return read_argument(mechanisms[i].argument, text + name,
		    length - name, term);
	}
	return "there is no such mechanism";
}

/* Length of NAME when this is NAME=..., else 0. */
static size_t modifier_name(const char *text, size_t length)
{
	size_t at;

	if (!is_letter(text[0]))
		return 0;
	for (at = 1; at < length && text[at] != '='; at++)
		if (!is_letter(text[at]) && !is_digit(text[at]) &&
		    (text[at] == '\0' || strchr("-_.", text[at]) == NULL))
			return 0;
	return at < length ? at : 0;
}

static const char *read_modifier(struct spf_term *term, size_t name)
{
	const char *value = term->text + name + 1;
	size_t length = term->length - name - 1;

	if (is_word(term->text, name, "redirect")) {
		term->type = SPF_REDIRECT;
		return set_domain(term, value, length);
	}
	if (is_word(term->text, name, "exp")) {
		term->type = SPF_EXPLANATION;
		return set_domain(term, value, length);
	}
	term->type = SPF_UNKNOWN;
	return spf_macro_is_valid(value, length, SPF_MACRO_NAME) ? NULL :
	    "its value is no macro-string";
}

bool spf_record_next(const char *text, size_t length, size_t *at,
    struct spf_term *term, const char **problem)
{
	size_t name;

	if (*at < VERSION_LENGTH)
		*at = VERSION_LENGTH;
	while (*at < length && text[*at] == ' ')
		(*at)++;
	if (*at == length)
		return false;
	memset(term, 0, sizeof(*term));
	term->bits4 = 32;
	term->bits6 = 128;
	term->text = text + *at;
	while (*at < length && text[*at] != ' ')
		(*at)++;
	term->length = (size_t)(text + *at - term->text);
	name = modifier_name(term->text, term->length);
	*problem = name > 0 ? read_modifier(term, name) : read_mechanism(term);
	return true;
}

bool spf_record_find(const char *text, size_t length,
    enum spf_term_type type, struct spf_term *term)
{
	struct spf_term one;
	const char *problem;
	bool found = false;
	size_t at = 0;

	while (spf_record_next(text, length, &at, &one, &problem)) {
		if (one.type != type || problem != NULL)
			continue;
		*term = one;
		found = true;
	}
	return found;
}

/* The record is a stranger's: what is shown of it can be shown. */
static const char *describe(struct arena *arena, const struct spf_term *term,
    const char *problem)
{
	enum { SHOWN_MAX = 60 };
	size_t length = term->length < SHOWN_MAX ? term->length : SHOWN_MAX;
	char *shown = arena_dup_text(arena, term->text, length);
	size_t i;

	for (i = 0; i < length; i++)
		if (shown[i] <= ' ' || shown[i] > '~')
			shown[i] = '?';
	return arena_print(arena, "%s: %s", shown, problem);
}

const char *spf_record_problem(const char *text, size_t length,
    struct arena *arena)
{
	unsigned redirects = 0, explanations = 0;
	struct spf_term term;
	const char *problem;
	size_t at = 0;

	if (length > SPF_RECORD_MAX)
		return "the record is too long";
	while (spf_record_next(text, length, &at, &term, &problem)) {
		if (problem == NULL && term.type == SPF_REDIRECT &&
		    ++redirects > 1)
			problem = "there is another redirect";
		if (problem == NULL && term.type == SPF_EXPLANATION &&
		    ++explanations > 1)
			problem = "there is another exp";
		if (problem != NULL)
			return describe(arena, &term, problem);
	}
	return NULL;
}
