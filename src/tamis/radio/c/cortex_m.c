/* What a Cortex-M needs before main: vectors, the floating-point unit, and a clock() that counts SysTick. */

#include <stdint.h>
#include <time.h>

#define CPACR (*(volatile uint32_t *)0xE000ED88)
#define SYSTICK ((volatile uint32_t *)0xE000E010) /* control, reload, value */
#define SYSTICK_BITS 0xFFFFFFu

extern void _start(void);
extern char stack_top;

void reset(void)
{
    CPACR |= 0xFu << 20;
    SYSTICK[1] = SYSTICK_BITS;
    SYSTICK[2] = 0;
    SYSTICK[0] = 5; /* run, from the processor's clock */
    _start();
}

static void stop(void)
{
    for (;;)
        ;
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &stack_top, (void *)reset, (void *)stop, (void *)stop, (void *)stop, (void *)stop, (void *)stop,
};

/* Right as long as it is called every 2^24 ticks. */
clock_t clock(void)
{
    static uint32_t last = SYSTICK_BITS, total;
    const uint32_t now = SYSTICK[2];

    total += (last - now) & SYSTICK_BITS;
    last = now;
    return total;
}
