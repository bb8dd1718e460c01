/* SPDX-License-Identifier: ISC */
/*
 * Text in the parameters of DSN: xtext (RFC 3461 4), and the addresses of
 * type utf-8 in ORCPT (RFC 6533 3), which are
 *
 *	utf-8-addr-xtext	ASCII alone, the others as \x{F6}: for servers
 *				without SMTPUTF8, and in message/delivery-status
 *	utf-8-addr-unitext	with the others as they are: where SMTPUTF8 is
 *				said
 *
 * Nothing here allocates; what is written is text of one line, always.
 */
#ifndef POSTERN_BASE_XTEXT_H
#define POSTERN_BASE_XTEXT_H

#include <stdbool.h>
#include <stddef.h>

/* "+" and two upper-case hexadecimal digits, or itself. */
bool	 xtext_is_valid(const char *text);
/* unitext: also bytes above 127, as UTF-8. What stands for a control
 * character is in no address and not valid. */
bool	 utf8_addr_is_valid(const char *text, bool unitext);
/* Reads either form into UTF-8. -1 if it is none, or out is too small. */
int	 utf8_addr_read(char *out, size_t size, const char *text);
/* Writes UTF-8 as utf-8-addr-xtext; what is not UTF-8 as "?". -1 if out is too
 * small: UTF8_ADDR_GROWTH bytes for one are enough, and a terminator. */
enum { UTF8_ADDR_GROWTH = 6 };
int	 utf8_addr_write(char *out, size_t size, const char *text);
/* The value of ORCPT for an address that came without one: "rfc822;a+2Bb@..."
 * (RFC 3461 5.2.1), or "utf-8;..." (RFC 6533 3). -1 if it is longer than the
 * parameter may be, or than out. */
enum { XTEXT_ORIGINAL_MAX = 500 };
int	 xtext_write_original(char *out, size_t size, const char *address);

#endif
