/* SPDX-License-Identifier: ISC */
/*
 * libldns, by way of this file only: unless <stdbool.h> comes first, its
 * header makes bool a signed char, for itself and for whatever comes after.
 * And it makes dprintf() its own.
 */
#ifndef POSTERN_TOOLS_LAB_LDNS_H
#define POSTERN_TOOLS_LAB_LDNS_H

#include <stdbool.h>

#include <ldns/ldns.h>

#undef dprintf

#endif
