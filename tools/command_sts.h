/* SPDX-License-Identifier: ISC */
/*
 * postern sts show|status|publish: our own MTA-STS policies.
 */
#ifndef POSTERN_TOOLS_COMMAND_STS_H
#define POSTERN_TOOLS_COMMAND_STS_H

int	 command_sts(int argc, char **argv);

#endif
