/* A stand-in for what every Arduino core has: just what the sketch calls, over lg_board.h. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { LOW, HIGH, OUTPUT, LED_BUILTIN = 13 };

struct Port {
    void begin(unsigned long baud);
    void print(const char *text);
    void print(long value);
    void print(unsigned long value) { print(static_cast<long>(value)); }
    void print(int value) { print(static_cast<long>(value)); }
    template <typename T> void println(T value)
    {
        print(value);
        print("\n");
    }
};
extern Port Serial;

unsigned long micros();
void delay(unsigned long ms);
void pinMode(int pin, int mode);
void digitalWrite(int pin, int level);

void setup();
void loop();
