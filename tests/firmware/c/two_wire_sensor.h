/* A sensor's end of the two-wire bus: it decodes the edges of two lines. Whoever includes it has ADDRESS, NUMBER_BYTES of a
 * register's number, sensor_write(), sensor_read(), and has("dead"): it does not answer; has("deaf"): not to data. */
enum { IDLE, RECEIVE, ACKNOWLEDGE, SEND, HOST_ACKNOWLEDGE };

static struct {
    int sda, scl, sda_out; /* sda_out 0: the sensor pulls the line low */
    int state, bits, bytes, reading, addressed;
    uint32_t shift, number;
} bus = {1, 1, 1, IDLE, 0, 0, 0, 0, 0, 0};

static int level(void)
{
    return bus.sda && bus.sda_out;
}

static void byte_taken(void)
{
    bus.sda_out = 1;
    const uint32_t byte = bus.shift & 0xFFu;
    if (bus.bytes == 0) {
        bus.addressed = byte >> 1 == ADDRESS && !has("dead");
        bus.reading = (int)(byte & 1u);
    } else if (bus.bytes <= NUMBER_BYTES) {
        bus.number = (bus.bytes == 1 ? 0u : bus.number << 8) | byte;
    } else {
        sensor_write(bus.number, (uint8_t)byte);
    }
    if (bus.addressed && !(has("deaf") && bus.bytes == NUMBER_BYTES + 1)) {
        bus.sda_out = 0;
    }
    bus.bytes++;
    bus.state = ACKNOWLEDGE;
}

static void send_bit(void)
{
    bus.sda_out = (sensor_read(bus.number) >> (7 - bus.bits)) & 1;
}

static void clock_fell(void)
{
    if (bus.state == RECEIVE && bus.bits == 8) {
        byte_taken();
    } else if (bus.state == ACKNOWLEDGE) {
        bus.sda_out = 1;
        bus.bits = 0;
        bus.state = bus.reading ? SEND : RECEIVE;
        if (bus.reading && bus.addressed) {
            send_bit();
        }
    } else if (bus.state == SEND) {
        if (++bus.bits == 8) {
            bus.sda_out = 1;
            bus.state = HOST_ACKNOWLEDGE;
        } else {
            send_bit();
        }
    } else if (bus.state == HOST_ACKNOWLEDGE) {
        bus.state = IDLE;
    }
}

void camera_scl(int released)
{
    if (bus.scl && !released) {
        clock_fell();
    } else if (!bus.scl && released && bus.state == RECEIVE) {
        bus.shift = bus.shift << 1 | (uint32_t)level();
        bus.bits++;
    }
    bus.scl = released;
}

void camera_sda(int released)
{
    const int before = level();
    bus.sda = released;
    if (bus.scl && before && !level()) { /* start */
        bus.state = RECEIVE;
        bus.bits = bus.bytes = bus.reading = 0;
    } else if (bus.scl && !before && level()) { /* stop */
        bus.state = IDLE;
    }
}

int camera_sda_level(void)
{
    return level();
}

void camera_delay(void)
{
}
