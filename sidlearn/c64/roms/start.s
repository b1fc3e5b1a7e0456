; Starts a tune that brings its own interrupts. Set from outside: init, initbank, song, timer, control, status (flags at
; the call).

start:  LDX #$FF
        TXS
        LDY #6
settle: DEY
        BNE settle
        LDA #15
        STA $D418
        LDY #20
        BIT $00                 ; the tune begins about 170 cycles after the machine, as measured on sidplayfp
wait:   DEY
        BNE wait
        LDA #control
        STA $DC0E
        LDA #initbank
        STA $01
        LDA #status             ; with interrupts or without
        PHA
        LDA #song
        LDX #timer
        PLP
        JSR init
        CLI
        INC played
idle:   JMP idle
played: .byte 0
