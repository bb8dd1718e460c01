/* SPDX-License-Identifier: ISC */
/*
 * Netlink, by hand. One IPv4 address with its prefix on lo makes the whole
 * prefix local, so that any address in it can be bound and reached; IPv6 wants
 * a local route for the same, and leave to bind what is no address of ours.
 */
#include "tools/lab/namespace_network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LO = 1 };	/* the index of lo in every new namespace */

struct request {
	struct nlmsghdr		 header;
	union {
		struct ifaddrmsg	 address;
		struct rtmsg		 route;
	};
	char			 room[128];
};

static void add_attribute(struct request *request, unsigned short type,
    const void *data, size_t length)
{
	struct rtattr *attribute = (struct rtattr *)(void *)((char *)request +
	    NLMSG_ALIGN(request->header.nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(length);
	memcpy(RTA_DATA(attribute), data, length);
	request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) +
	    RTA_ALIGN(attribute->rta_len);
}

/* Sends and reads the acknowledgement; 0 or -1 with errno. */
static int ask(int netlink, struct request *request)
{
	struct {
		struct nlmsghdr	 header;
		struct nlmsgerr	 answer;
		char		 room[256];
	} reply;

	request->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK |
	    NLM_F_CREATE | NLM_F_REPLACE;
	if (send(netlink, request, request->header.nlmsg_len, 0) == -1 ||
	    recv(netlink, &reply, sizeof(reply), 0) == -1)
		return -1;
	if (reply.header.nlmsg_type != NLMSG_ERROR ||
	    reply.answer.error == 0)
		return 0;
	errno = -reply.answer.error;
	return -1;
}

static int add_network(int netlink, const char *text)
{
	struct request request = { .header = {
	    .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
	    .nlmsg_type = RTM_NEWADDR } };
	struct in_addr address;

	request.address = (struct ifaddrmsg){ .ifa_family = AF_INET,
	    .ifa_prefixlen = 24, .ifa_index = LO };
	inet_pton(AF_INET, text, &address);
	add_attribute(&request, IFA_LOCAL, &address, sizeof(address));
	add_attribute(&request, IFA_ADDRESS, &address, sizeof(address));
	return ask(netlink, &request);
}

/* A /64 as a local route. */
static int add_network6(int netlink, const char *text)
{
	struct request request = { .header = {
	    .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
	    .nlmsg_type = RTM_NEWROUTE } };
	struct in6_addr network;
	unsigned interface = LO;

	request.route = (struct rtmsg){ .rtm_family = AF_INET6,
	    .rtm_dst_len = 64, .rtm_table = RT_TABLE_LOCAL,
	    .rtm_protocol = RTPROT_BOOT, .rtm_scope = RT_SCOPE_UNIVERSE,
	    .rtm_type = RTN_LOCAL };
	inet_pton(AF_INET6, text, &network);
	add_attribute(&request, RTA_DST, &network, sizeof(network));
	add_attribute(&request, RTA_OIF, &interface, sizeof(interface));
	return ask(netlink, &request);
}

static void write_number(const char *path, const char *number)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd == -1)
		return;
	if (write(fd, number, strlen(number)) == -1 && errno == EINTR)
		fprintf(stderr, "postern-lab: %s: interrupted\n", path);
	close(fd);
}

static int raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result;

	if (fd == -1)
		return -1;
	request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
	result = ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
	return result;
}

int lab_network_up(char *error, size_t size)
{
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
	    NETLINK_ROUTE);
	bool up = netlink != -1 && raise_loopback() == 0 &&
	    add_network(netlink, "192.0.2.1") == 0 &&
	    add_network(netlink, "198.51.100.1") == 0 &&
	    add_network(netlink, "203.0.113.1") == 0;

	if (!up)
		snprintf(error, size, "the network of the lab's machine "
		    "cannot be set up: %s", strerror(errno));
	if (up) {
		/* What fails here is IPv6 missing: hosts that have only such
		 * addresses will say so. */
		write_number("/proc/sys/net/ipv6/ip_nonlocal_bind", "1");
		add_network6(netlink, "2001:db8::");	/* mail hosts */
		add_network6(netlink, "2001:db8:1::");	/* policy hosts */
	}
	if (netlink != -1)
		close(netlink);
	return up ? 0 : -1;
}

int lab_network_add(const char *address, char *error, size_t size)
{
	static const struct { const char *prefix, *first; } networks[] = {
		{ "10.0.0.", "10.0.0.1" }, { "169.254.0.", "169.254.0.1" }
	};
	int netlink, result = 0;

	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
		if (strncmp(address, networks[i].prefix,
		    strlen(networks[i].prefix)) != 0)
			continue;
		netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
		    NETLINK_ROUTE);
		result = netlink == -1 ? -1 : add_network(netlink,
		    networks[i].first);
		if (result == -1)
			snprintf(error, size, "%s cannot be an address of the "
			    "lab's machine: %s", address, strerror(errno));
		if (netlink != -1)
			close(netlink);
	}
	return result;
}
