/* SPDX-License-Identifier: ISC */
/*
 * What texts of a configuration may look like, and where they stand.
 */
#include "conf/check_private.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

int check_line(const struct check *check, enum option_section section,
    size_t index, const char *name)
{
	return settings_line(check->settings, section, index, name);
}

bool check_given(const struct check *check, enum option_section section,
    size_t index, const char *name)
{
	return settings_given(check->settings, section, index, name);
}

int check_top_line(const struct check *check, const char *name)
{
	return check_line(check, SECTION_TOP, 0, name);
}

bool check_is_domain(const char *text)
{
	char name[ADDRESS_DOMAIN_MAX + 1];

	return domain_parse(name, sizeof(name), text, strlen(text)) == 0 &&
	    strlen(name) == strlen(text);
}

bool check_is_address(const char *text)
{
	struct endpoint endpoint;

	return endpoint_parse(&endpoint, text, 0) == 0;
}

bool check_is_host_name(const char *text)
{
	const char *last = strrchr(text, '.');

	last = last != NULL ? last + 1 : text;
	return check_is_domain(text) && strspn(last, "0123456789") != strlen(last);
}

bool check_is_literal(const char *text)
{
	struct endpoint endpoint;

	return endpoint_parse_literal(&endpoint, text, 0) == 0;
}

bool check_is_user_name(const char *text, size_t longest)
{
	size_t length = strspn(text,
	    "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return length == strlen(text) && length > 0 && length <= longest &&
	    strchr("0123456789-", text[0]) == NULL;
}

bool check_is_local_part(const char *text)
{
	char whole[ADDRESS_MAX + 1];
	struct address address;

	if (snprintf(whole, sizeof(whole), "%s@example.org", text) >=
	    (int)sizeof(whole))
		return false;
	return address_parse(&address, whole) == ADDRESS_OK &&
	    strcmp(address.domain, "example.org") == 0;
}

bool check_is_label(const char *text)
{
	return text[0] != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(text);
}

bool check_is_mailbox(const char *text)
{
	struct address address;

	return address_parse(&address, text) == ADDRESS_OK &&
	    address.domain[0] != '\0';
}

void check_socket(const struct check *check, const char *option, int line,
    const char *path)
{
	size_t longest = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (strlen(path) > longest)
		problems_add(check->problems, line, "%s %.150s is longer than "
		    "the %zu bytes the system allows; give a shorter one",
		    option, path, longest);
}
