/* SPDX-License-Identifier: ISC */
/*
 * Where postern-lab begins, and nothing else.
 */
#include "tools/lab/lab.h"

int main(int argc, char **argv)
{
	return lab_main(argc, argv);
}
