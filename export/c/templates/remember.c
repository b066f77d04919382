/* SPDX-License-Identifier: Apache-2.0 */

lg_status net_reset(net_state *net)
{
    const lg_status checked = check(net);
    if (checked == LG_OK) {
        begin_states(net);
    }
    return checked;
}

lg_status net_observe(net_state *net, net_observer observer)
{
    const lg_status checked = check(net);
    if (checked == LG_OK) {
        net->observer = observer;
    }
    return checked;
}
