; Plays a tune that has a play routine. Set from outside: init, play, initbank, playbank, song, timer (1: the CIA calls
; play, 0: the picture does), control (what starts the CIA's timer or not).

start:  LDX #$FF
        TXS
        LDY #6
settle: DEY
        BNE settle
        LDA #15
        STA $D418
        LDY #17
        BIT $00                 ; the tune begins about 170 cycles after the machine, as measured on sidplayfp
wait:   DEY
        BNE wait
        NOP
        LDA #control
        STA $DC0E               ; and the timer 29 cycles before the tune
        NOP
        LDY #4
before: DEY
        BNE before
        LDA #initbank
        STA $01
        LDA #song
        LDX #timer
        JSR init
        LDA #$37
        STA $01
        CLI
        INC played              ; init has come back
idle:   JMP idle

hard:   PHA                     ; where the KERNAL is not banked in
        TXA
        PHA
        TYA
        PHA
irq:    LDA $01
        PHA
        LDA #playbank
        STA $01
        LDA #0
        JSR play
        PLA
        STA $01
        LDA $DC0D
        LDA #$0F
        STA $D019
        INC calls               ; play has come back
        PLA
        TAY
        PLA
        TAX
        PLA
        RTI
played: .byte 0
calls:  .byte 0
