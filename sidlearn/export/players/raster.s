; Waits for a line of the picture, for players that are called at its top. Set from outside: line.

coarse: LDA #line-1
        SEC
        SBC $D012
        BCC look
        BEQ look
        TAY                     ; most of the time passes without a look: 61 cycles a line
lines:  LDX #11
pass:   DEX
        BNE pass
        DEY
        BNE lines
look:   LDA $D012
        CMP #line
        BCC look
        RTS
