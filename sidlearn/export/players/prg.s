; What RUN starts: the timer of CIA 1 gives the ticks, interrupts stay off, so that all memory but the chips is RAM.
; Set from outside: period (cycles between ticks, less one).

start:  SEI
        LDA #$35
        STA $01
        LDA #$7F
        STA $DC0D
        LDA $DC0D
        JSR reset
        LDA #<period
        STA $DC04
        LDA #>period
        STA $DC05
        LDA #$11
        STA $DC0E
tick:   JSR play
late:   LDA $DC0D
        AND #1
        BEQ late
        JMP tick
