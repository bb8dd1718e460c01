/* SPDX-License-Identifier: ISC */
/*
 * Between the files of the checks: what each has to look at, how it names a
 * line, and what texts may look like.
 */
#ifndef POSTERN_CONF_CHECK_PRIVATE_H
#define POSTERN_CONF_CHECK_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "base/net.h"
#include "conf/conf.h"
#include "conf/options.h"
#include "conf/problem.h"
#include "conf/settings.h"

struct check {
	const struct conf	*conf;
	const struct settings	*settings;
	struct problems		*problems;
	struct problems		*advice;
};

/* --- check_text.c --- */

int	 check_line(const struct check *check, enum option_section section,
	    size_t index, const char *name);
bool	 check_given(const struct check *check, enum option_section section,
	    size_t index, const char *name);
int	 check_top_line(const struct check *check, const char *name);
bool	 check_is_domain(const char *text);
bool	 check_is_address(const char *text);
/* A name that ends in digits would be taken for a mistyped IPv4 address. */
bool	 check_is_host_name(const char *text);
bool	 check_is_literal(const char *text);
bool	 check_is_local_part(const char *text);
/* Of a user or group of the system. */
bool	 check_is_user_name(const char *text, size_t longest);
/* The name of a section. */
bool	 check_is_label(const char *text);
/* Local part and domain. */
bool	 check_is_mailbox(const char *text);
/* Fits the address of a Unix socket; else says so for that option. */
void	 check_socket(const struct check *check, const char *option, int line,
	    const char *path);

/* --- check_filter.c, check_listen.c, check_domain.c, check_route.c --- */

void	 check_filters(const struct check *check);
void	 check_listeners(const struct check *check);
void	 check_domains(const struct check *check);
void	 check_routes(const struct check *check);
void	 check_destinations(const struct check *check);

#endif
