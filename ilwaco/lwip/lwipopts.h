/* SPDX-License-Identifier: MIT
 *
 * lwIP's options. Aims, in this order: right, few pages, fast.
 */
#ifndef ILWACO_LWIPOPTS_H
#define ILWACO_LWIPOPTS_H

/* --- the system underneath ---------------------------------------------------- */
#define NO_SYS                    0
#define SYS_LIGHTWEIGHT_PROT      1
#define LWIP_TCPIP_CORE_LOCKING   1
#define LWIP_TIMERS_CUSTOM        1 /* ilwaco/lwip/timers.c: none runs without need */
#define TCPIP_THREAD_NAME         "tcpip"
#define TCPIP_THREAD_STACKSIZE    2560 /* 1,652 measured, and an upcall */
#define TCPIP_THREAD_PRIO         1    /* urgent */
#define TCPIP_MBOX_SIZE           8
#define DEFAULT_TCP_RECVMBOX_SIZE 16
#define DEFAULT_UDP_RECVMBOX_SIZE 32
#define DEFAULT_RAW_RECVMBOX_SIZE 8
#define DEFAULT_ACCEPTMBOX_SIZE   16
#define LWIP_HOOK_FILENAME        "hooks.h"

/* --- memory: the heap for everything; static pools would write every element -- */
#define MEM_ALIGNMENT        4
#define MEM_LIBC_MALLOC      1
#define MEMP_MEM_MALLOC      1
#define mem_clib_malloc      port_malloc     /* ilwaco/lwip/memory.c: caps connections */
#define MAX_CONNECTIONS      64              /* those in TIME_WAIT included */
#define MAX_TIME_WAIT        16              /* of those, the ones in TIME_WAIT */
#define PBUF_POOL_SIZE       0               /* frames arrive in ilwaco/netif.c's buffers */
#define MEMP_NUM_NETCONN     MAX_CONNECTIONS /* sockets */
#define MEMP_NUM_SYS_TIMEOUT 8

/* --- protocols ------------------------------------------------------------------- */
#define LWIP_IPV4                     1
#define LWIP_IPV6                     0
#define LWIP_ARP                      1
#define LWIP_ICMP                     1
#define LWIP_RAW                      0
#define LWIP_UDP                      1
#define LWIP_TCP                      1
#define LWIP_DHCP                     0
#define LWIP_DNS                      0
#define LWIP_IGMP                     0
#define ARP_TABLE_SIZE                8
#define ARP_QUEUEING                  1 /* packets wait for the answer: many at a cold start */
#define ARP_QUEUE_LEN                 32
#define ETHARP_TRUST_IP_MAC           0
#define ETHARP_SUPPORT_STATIC_ENTRIES 0
#define IP_REASSEMBLY                 0 /* holds memory for whoever sends half a packet */
#define IP_FRAG                       0 /* an MSS fits a frame */
#define IP_DEFAULT_TTL                64
#define LWIP_BROADCAST_PING           0
#define LWIP_MULTICAST_PING           0

/* --- TCP ------------------------------------------------------------------------- */
#define TCP_MSS                   1460
#define TCP_WND                   (4 * TCP_MSS)
#define TCP_SND_BUF               (4 * TCP_MSS)
#define TCP_SND_QUEUELEN          32
#define TCP_QUEUE_OOSEQ           0    /* as reassembly; the peer sends it again */
#define TCP_MSL                   1000 /* ms; 2 * MSL in TIME_WAIT */
#define TCP_OVERSIZE              128  /* not a whole MSS for every small write */
#define TCP_LISTEN_BACKLOG        1
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1 /* the web server's request under way */
#define LWIP_TCP_KEEPALIVE        1

/* --- sockets ----------------------------------------------------------------------- */
#define LWIP_SOCKET                 1
#define LWIP_NETCONN                1
#define LWIP_COMPAT_SOCKETS         1
#define LWIP_POSIX_SOCKETS_IO_NAMES 1
#define LWIP_SO_RCVTIMEO            1
#define LWIP_SO_SNDTIMEO            1
#define SO_REUSE                    1

/* --- checksums: computed here, with ilwaco/lwip/checksum.c ---------------------------- */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHKSUM                  port_checksum

/* --- the web server --------------------------------------------------------------------- */
#define LWIP_HTTPD_SUPPORT_11_KEEPALIVE     1
#define LWIP_HTTPD_SUPPORT_REQUESTLIST      0 /* user/web/gate.c hands on whole requests */
#define LWIP_HTTPD_SUPPORT_V09              0
#define LWIP_HTTPD_DYNAMIC_HEADERS          0 /* user/web/files.c writes them */
#define LWIP_HTTPD_ABORT_ON_CLOSE_MEM_ERROR 1
#define LWIP_HTTPD_DYNAMIC_FILE_READ        1 /* files on a disk: user/web/site.c */
#define LWIP_HTTPD_FS_ASYNC_READ            1
#define HTTPD_LIMIT_SENDING_TO_2MSS         0
#define HTTPD_PRECALCULATED_CHECKSUM        0

/* --- diagnosis -------------------------------------------------------------------------- */
#define LWIP_STATS 0

#include <stddef.h>
#include <stdint.h>

void *port_malloc(size_t size);
uint16_t port_checksum(const void *data, int length);

#endif
