/* SPDX-License-Identifier: ISC */
/*
 * A whole DNSSEC world for tests: a root zone that holds every name itself, so
 * that there is no delegation, and its name server on a port of the loopback.
 * One signing key (ECDSA P-256); signatures are made when they are asked for.
 */
#ifndef POSTERN_TESTS_SIGNED_ROOT_H
#define POSTERN_TESTS_SIGNED_ROOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/net.h"

/* What is wrong with the world. */
enum root_fault { ROOT_TRUE, ROOT_STRIPPED, ROOT_EXPIRED, ROOT_TAMPERED,
    ROOT_OTHER_KEY, ROOT_SILENT, ROOT_REFUSES };

/* Set by the test at any time. */
extern enum root_fault	 root_fault;
/* The root shows another key signing key beside its own. */
extern bool		 root_second_key;
extern unsigned		 root_questions;

/* On the loop of the process. */
void	 root_start(struct endpoint *address);
void	 root_stop(void);
/* ". IN DNSKEY ...\n" of its key; static. */
const char	*root_anchor(void);
/* A record of a name; its bytes are copied. */
void	 root_add(const char *name, unsigned type, const void *data,
	    size_t length);
/* "a.lab" in wire form; the length. */
size_t	 root_wire_name(const char *name, uint8_t *out);

#endif
