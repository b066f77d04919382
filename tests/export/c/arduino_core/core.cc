/* The core's main: setup, then loop until it has waited twice. */
#include "Arduino.h"

extern "C" {
#include "lg_board.h"
}

Port Serial;
static int waited;

void Port::begin(unsigned long) {}

void Port::print(const char *text)
{
    (void)lg_board_write(text, strlen(text));
}

void Port::print(long value)
{
    char text[12];
    char *place = text + sizeof text - 1;
    *place = '\0';
    unsigned long rest = value < 0 ? 0ul - static_cast<unsigned long>(value) : static_cast<unsigned long>(value);
    do {
        *--place = static_cast<char>('0' + rest % 10ul);
        rest /= 10ul;
    } while (rest != 0ul);
    if (value < 0) {
        *--place = '-';
    }
    print(place);
}

unsigned long micros()
{
    return lg_board_ticks();
}

void delay(unsigned long)
{
    waited++;
}

void pinMode(int, int) {}

void digitalWrite(int pin, int level)
{
    Serial.print(pin == LED_BUILTIN && level == HIGH ? "high\n" : "low\n");
}

int main()
{
    lg_board_init();
    setup();
    while (waited < 2) {
        loop();
    }
    lg_board_exit(0);
}
