/* SPDX-License-Identifier: Apache-2.0 */

/* The network remembers: a frame's scores depend on those before it. Only a frame that is finished counts. */
#define NET_STATEFUL 1

/* Forget the frames so far, as net_init does. */
lg_status net_reset(net_state *net);

/* Another observer, which may be NULL; what is remembered stays. */
lg_status net_observe(net_state *net, net_observer observer);
