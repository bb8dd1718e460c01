/* SPDX-License-Identifier: ISC */
/*
 * postern dns: the records that a domain of ours needs, as a zone file.
 */
#ifndef POSTERN_TOOLS_COMMAND_DNS_H
#define POSTERN_TOOLS_COMMAND_DNS_H

int	 command_dns(int argc, char **argv);

#endif
