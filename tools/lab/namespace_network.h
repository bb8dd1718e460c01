/* SPDX-License-Identifier: ISC */
/*
 * The network of a new namespace: lo is up, every documentation address is
 * ours, and nothing else can be reached but what a world asks for.
 */
#ifndef POSTERN_TOOLS_LAB_NAMESPACE_NETWORK_H
#define POSTERN_TOOLS_LAB_NAMESPACE_NETWORK_H

#include <stddef.h>

/* 0, or -1 with a sentence. Without IPv6 in the kernel there is only IPv4. */
int	 lab_network_up(char *error, size_t size);
/* Inside, before a server is bound to it: makes an address ours whose network
 * is not until somebody asks (10.0.0.N, 169.254.0.N). To be called again does
 * no harm; nothing is done for all others. 0, or -1 with a sentence. */
int	 lab_network_add(const char *address, char *error, size_t size);

#endif
