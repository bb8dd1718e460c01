/* SPDX-License-Identifier: ISC */
/*
 * The names a certificate may show: those of the levels verify and secure, the
 * reference identifiers of DANE, or the host's own.
 */
#include "policy/plan_private.h"

#include <strings.h>

#include "base/arena.h"

static void new_names(const struct planner *planner, struct plan_host *host)
{
	host->names = arena_alloc_array(planner->arena, PLAN_NAMES_MAX,
	    sizeof(*host->names));
	host->name_count = 0;
}

/* Each name once. */
static void add_name(const struct planner *planner, struct plan_host *host,
    const char *format, const char *name)
{
	char *text = arena_print(planner->arena, format, name);
	size_t i;

	for (i = 0; i < host->name_count; i++)
		if (strcasecmp(host->names[i], text) == 0)
			return;
	if (host->name_count < PLAN_NAMES_MAX)
		host->names[host->name_count++] = text;
}

bool prospect_is_address(const struct prospect *prospect)
{
	struct endpoint literal;

	return planner_parse_address(prospect->host.name, 0, &literal);
}

/* A host that is an address is met by that address in the certificate, in
 * the form the certificate check knows (RFC 9525 6.4). */
void prospect_add_own_name(const struct planner *planner,
    struct prospect *prospect)
{
	struct plan_host *host = &prospect->host;
	char text[ENDPOINT_TEXT_MAX];
	struct endpoint literal;

	if (planner_parse_address(host->name, 0, &literal)) {
		endpoint_format(&literal, text, sizeof(text));
		add_name(planner, host, "%s", text);
	} else {
		add_name(planner, host, "%s", host->name);
	}
}

void prospect_own_name(const struct planner *planner,
    struct prospect *prospect)
{
	new_names(planner, &prospect->host);
	prospect_add_own_name(planner, prospect);
}

/*
 * Configured names decide alone; otherwise `verify` believes the host name that
 * DNS gave, and `secure` only what the administrator or the recipient's address
 * said (RFC 9525 6.1.1): the configured host, or the recipient's domain and one
 * label below it.
 */
void prospect_level_names(const struct planner *planner,
    struct prospect *prospect)
{
	const struct conf_destination *destination =
	    planner->facts->destination;
	struct plan_host *host = &prospect->host;
	size_t i;

	new_names(planner, host);
	for (i = 0; i < destination->names.count; i++)
		add_name(planner, host, "%s", destination->names.items[i]);
	if (host->name_count > 0)
		return;
	if (prospect_is_address(prospect) || planner->level == LEVEL_VERIFY) {
		prospect_add_own_name(planner, prospect);
		return;
	}
	add_name(planner, host, "%s", planner->name);
	if (planner->facts->next->mx)
		add_name(planner, host, ".%s", planner->name);
}

/*
 * Reference identifiers for usage 2 (RFC 7672 3.2.2): the base domain; over
 * secure MX also the next hop and where its alias leads; without MX also the
 * next hop, when the base is where that leads. Over unsigned MX the base only:
 * the others would be a stranger's claim.
 */
void prospect_dane_names(const struct planner *planner,
    struct prospect *prospect)
{
	struct plan_host *host = &prospect->host;

	new_names(planner, host);
	add_name(planner, host, "%s", prospect->base);
	if (planner->path == PATH_MX_INSECURE)
		return;
	add_name(planner, host, "%s", planner->name);
	if (planner->path == PATH_MX && planner->expanded[0] != '\0')
		add_name(planner, host, "%s", planner->expanded);
}
