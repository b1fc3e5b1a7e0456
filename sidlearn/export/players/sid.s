; A PSID's init and play. Set from outside: period (cycles between calls, less one), timer (1: the CIA calls play).

init:   JSR reset
        LDA #timer
        BEQ done
        LDA #<period
        STA $DC04
        LDA #>period
        STA $DC05
        LDA #$11
        STA $DC0E
        JMP play                ; the first tick comes now, the next when the timer runs out
done:   RTS
