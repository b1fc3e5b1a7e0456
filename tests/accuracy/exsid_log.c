/* Takes the place of the exSID driver under sidplayfp and writes down what it sends to the chips.

   Built and put in by tunes.py:  cc -shared -fPIC -o exsid_log.so exsid_log.c
   SIDLEARN_LOG is the file: a line a write, "cycle,chip,register,value". SIDLEARN_CYCLES ends the run.
   Source of the functions and their types: the symbols that libsidplayfp asks for, and the README of libexsid. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *out;
static uint64_t now, limit;
static int chips;

struct chip { int number; };

static void move(uint_fast32_t cycles)
{
    now += cycles;
    if (limit && now > limit) {
        fflush(out);
        _Exit(0);
    }
}

void *exSID_new(void)
{
    if (!out) {
        const char *cycles = getenv("SIDLEARN_CYCLES"), *path = getenv("SIDLEARN_LOG");
        out = fopen(path ? path : "/dev/null", "w");
        limit = cycles ? strtoull(cycles, 0, 10) : 0;
    }
    struct chip *chip = malloc(sizeof *chip);
    chip->number = chips++;
    return chip;
}

void exSID_free(void *chip) { free(chip); }
int exSID_init(void *chip) { (void)chip; return 0; }
int exSID_exit(void *chip) { (void)chip; if (out) fflush(out); return 0; }
void exSID_reset(void *chip, uint_least8_t volume) { (void)chip; (void)volume; }
int exSID_clockselect(void *chip, int clock) { (void)chip; (void)clock; return 0; }
int exSID_audio_op(void *chip, int operation) { (void)chip; (void)operation; return 0; }
int exSID_chipselect(void *chip, int which) { (void)chip; (void)which; return 0; }
int exSID_hwmodel(void *chip) { (void)chip; return 0; }
uint16_t exSID_hwversion(void *chip) { (void)chip; return 0; }
const char *exSID_error_str(void *chip) { (void)chip; return ""; }
int exSID_delay(void *chip, uint_fast32_t cycles) { (void)chip; move(cycles); return 0; }

int exSID_clkdwrite(void *chip, uint_fast32_t cycles, uint_least8_t address, uint_least8_t data)
{
    move(cycles);
    fprintf(out, "%llu,%d,%d,%d\n", (unsigned long long)now, chip ? ((struct chip *)chip)->number : 0, address, data);
    return 0;
}

int exSID_clkdread(void *chip, uint_fast32_t cycles, uint_least8_t address, uint_least8_t *data)
{
    (void)chip; (void)address;
    move(cycles);
    *data = 0;
    return 0;
}
